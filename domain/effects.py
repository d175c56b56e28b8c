"""Effects: what a node wants done in the world, declared as data and carried out by a subscription."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A declared effect. `node` and `ordinal` say who declared it, and are filled in by `TaskContext.declare`."""

    kind: ClassVar[str]

    node: str = ""
    ordinal: int = 0

    def members(self) -> dict[str, Any]:
        """The effect as JSON members."""
        return {"kind": self.kind, **{name: getattr(self, name) for name in _NAMES[type(self)]}}


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDocument(Effect):
    """Make this document searchable under the event's id."""

    kind: ClassVar[str] = "index_document"

    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitEvent(Effect):
    """Append a follow-up event. It is validated in the run that asks for it.

    The source is the asking pipeline's name, the subject and the time those of the event, unless given.
    """

    kind: ClassVar[str] = "emit_event"

    type: str
    data: Mapping[str, Any]
    subject: str | None = None
    source: str | None = None
    time: datetime | str | None = None
    not_before: datetime | str | None = None


_KINDS: dict[str, type[Effect]] = {effect.kind: effect for effect in (IndexDocument, EmitEvent)}
_NAMES = {effect: tuple(field.name for field in fields(effect)) for effect in _KINDS.values()}


def effect_from_members(members: Mapping[str, Any]) -> Effect:
    """Rebuild an effect from its JSON members."""
    kind = _KINDS[members["kind"]]
    return kind(**{name: members[name] for name in _NAMES[kind]})
