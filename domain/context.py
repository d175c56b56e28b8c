"""TaskContext: an event and what each node made of it; the whole of it is what a run appends."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from json import JSONDecoder
from math import isfinite
from operator import attrgetter
from random import Random
from typing import Any, Self

from msgspec import Struct
from msgspec.json import encode
from msgspec.structs import replace
from pydantic_core import from_json, to_json, to_jsonable_python

from domain.effects import KINDS, Effect, effect_from_members
from domain.errors import PermanentError
from domain.events import RecordedEvent, derived_id

_SCALARS = frozenset({bool, type(None)})
_INT64 = 1 << 63
_DECLARERS = len(Effect.__struct_fields__)
"""Every effect's first fields say who declared it."""
_DATA = ',"data":'


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a run did not complete: the node it ended in, the exception's type and words, and where it was raised."""

    node: str | None
    type: str
    message: str
    where: str | None = None
    """`file:line in function`, of the last frame."""

    @property
    def kind(self) -> str:
        """What failures of one cause share: the exception's type, the node, the function; neither words nor line."""
        file, _, rest = (self.where or "").rpartition(":")
        function = rest.partition(" in ")[2]
        return " ".join(filter(None, (self.type, self.node and f"in {self.node}", file and f"({file}: {function})")))


class Run(Struct, frozen=True, kw_only=True):
    """What is true of one run and not of its result: which attempt, which code, how long each node took.

    `seconds` is by node name, in order. `fingerprint` names the pipeline's code, parameters and schemas.
    """

    pipeline: str
    generation: int
    attempt: int
    fingerprint: str
    status: str
    seconds: Mapping[str, float] = {}
    failure: Failure | None = None


class TaskContext(Struct, frozen=True, kw_only=True, eq=False):
    """The event, each node's output under the node's name, the declared effects, and the run that made them.

    Immutable: every change is a new context. `data` is the event's data as today's schema reads it; it is
    derived, so it is neither stored nor compared. `node` is the node that is at work.
    """

    event: RecordedEvent
    outputs: Mapping[str, Any] = {}
    effects: tuple[Effect, ...] = ()
    run: Run | None = None
    data: Any = None
    node: str = ""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TaskContext):
            return NotImplemented
        return _compared(self) == _compared(other)

    __hash__ = None  # type: ignore[assignment]  # mappings have none; Struct is typed as if whatever is one had

    @property
    def now(self) -> datetime:
        """The time of this run, the same in every replay: when the event was recorded."""
        return self.event.recorded_at

    def id(self, ordinal: int = 0) -> str:
        """A UUID for this node to use, the same in every replay."""
        return derived_id(self.event.id, "id", self.node, ordinal)

    def random(self, ordinal: int = 0) -> Random:
        """A seeded source of randomness for this node, the same in every replay."""
        return Random(f"{self.event.id}\x00{self.node}\x00{ordinal}")

    def with_output(self, name: str, value: Any) -> Self:
        """Record a node's output. It is kept as the JSON value that a later reader will see.

        Raises:
            PermanentError: the value has no JSON form, or holds NaN or an infinity.
        """
        return replace(self, outputs={**self.outputs, name: _plain(name, value)})

    def declare(self, effect: Effect) -> Self:
        """Ask for an effect, in the name of the node at work. It is kept as the JSON that a later reader will see.

        Raises:
            PermanentError: a value of the effect has no JSON form, or holds NaN or an infinity; or the effect could
                never be carried out, such as a call to what is no URL, or a kind of the caller's own.
        """
        if KINDS.get(getattr(effect, "kind", "")) is not type(effect):
            known = ", ".join(kind.__name__ for kind in KINDS.values())
            raise PermanentError(f"{type(effect).__name__} is no effect: they are {known}, and no class made of them.")
        ordinal = sum(other.node == self.node for other in self.effects) if self.effects else 0
        own = effect.__struct_fields__[_DECLARERS:]
        values = {name: _plain(self.node, getattr(effect, name)) for name in own}
        declared = type(effect)(node=self.node, ordinal=ordinal, **values)
        declared.check()
        return replace(self, effects=(*self.effects, declared))

    def at(self, node: str) -> Self:
        """The context as this node receives it."""
        return replace(self, node=node)

    def ended(self, run: Run) -> Self:
        """The context with the run that made it."""
        return replace(self, run=run, node="")

    @property
    def result_json(self) -> str:
        """Event, outputs and effects as JSON members: what the digest is over."""
        outputs = to_json(self.outputs).decode()
        effects = to_json([effect.members() for effect in self.effects]).decode() if self.effects else "[]"
        return f'"event":{self.event.json},"outputs":{outputs},"effects":{effects}'

    @property
    def digest(self) -> str:
        """SHA-256 of event, outputs and effects; two contexts are identical when their digests are."""
        return digest_of(self.result_json)

    @property
    def json(self) -> str:
        """The whole context as JSON; `from_json` gives an equal context back."""
        return whole_json(self.result_json, self.run)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a context back, with the exact text of its event's data; `data` is the plain JSON value."""
        # In the JSON of an event `data` is the last member, and no string can hold the unescaped marker.
        start = text.index(_DATA) + len(_DATA)
        data, end = JSONDecoder().raw_decode(text, start)
        members = from_json(text[:start] + "null" + text[end:])
        run = members["run"]
        return cls(
            event=RecordedEvent.from_members(members["event"], text[start:end]),
            outputs=members["outputs"],
            effects=tuple(map(effect_from_members, members["effects"])),
            run=run and Run(**{**run, "failure": run["failure"] and Failure(**run["failure"])}),
            data=data,
        )


_compared = attrgetter("event", "outputs", "effects", "run")
"""What makes two contexts equal."""


def digest_of(result_json: str) -> str:
    """The digest of a context whose `result_json` is already at hand."""
    return hashlib.sha256(result_json.encode()).hexdigest()


def whole_json(result_json: str, run: Run | None) -> str:
    """The JSON of a context whose `result_json` is already at hand."""
    return f'{{{result_json},"run":{encode(run).decode()}}}'


def _plain(name: str, value: Any) -> Any:
    kind = type(value)
    # What JSON gives back as it was; only all else needs the way there and back.
    if (
        kind in _SCALARS
        or (kind is str and value.isascii())
        or (kind is float and isfinite(value))
        or (kind is int and -_INT64 <= value < _INT64)
    ):
        return value
    try:
        text = to_json(value)
        if b"null" in text:  # a model writes NaN and infinities so
            text = to_json(to_jsonable_python(value))
        return from_json(text, allow_inf_nan=False)
    except (ValueError, RecursionError) as error:
        raise PermanentError(
            f"What node {name!r} made has no JSON form (NaN and infinities have none): {error}"
        ) from error
