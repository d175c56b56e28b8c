"""A corpus: stored events with the results that are expected of them, as lines of a file for a repository."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from domain.errors import InvalidCorpus, MalformedJson
from domain.events import RecordedEvent, parse_time
from domain.strict_json import members, text_of

FORMAT = 1
_MARK = "playhead_corpus"
_NO_BREAKS = str.maketrans("\n\r", "  ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first line: whether texts are pseudonyms, of when the newest result is, which code made the results.

    `fingerprints` are those of the code, by pipeline. `noise` are places at which two runs of that code differed;
    they do not count. `kept` and `replaced` are the pointers that the export was told.
    """

    anonymised: bool
    newest: datetime
    fingerprints: Mapping[str, Sequence[str]]
    noise: Sequence[str] = ()
    kept: Sequence[str] = ()
    replaced: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """An event, and how a run of it ended: outputs and effects, or the node and the type of what it raised.

    `outcome` is what the event stands for in the corpus, see `outcome_of`.
    """

    event: RecordedEvent
    outcome: str
    outputs: Mapping[str, Any] = field(default_factory=dict)
    effects: Sequence[Mapping[str, Any]] = ()
    failure: Mapping[str, str | None] | None = None

    @property
    def members(self) -> dict[str, Any]:
        """The result as the JSON members of a context have it."""
        return {"outputs": self.outputs, "effects": self.effects, "run": {"failure": self.failure}}


def expectation_of(event: RecordedEvent, outcome: str, context: Mapping[str, Any]) -> Expectation:
    """What the JSON members of a context lead one to expect. Of a run that failed only how it failed is compared."""
    failure = context["run"]["failure"]
    if failure is not None:
        return Expectation(event=event, outcome=outcome, failure={name: failure[name] for name in ("node", "type")})
    return Expectation(event=event, outcome=outcome, outputs=context["outputs"], effects=context["effects"])


def outcome_of(context: Mapping[str, Any]) -> str:
    """How the run of a context ended, in words that results of one shape share.

    Completed: which nodes gave an output that is not null, and which declared what kind of effect; else dead, by what
    exception in which node.
    """
    failure = context["run"]["failure"]
    if failure is not None:
        return f"dead: {failure['type']}" + (f" in {failure['node']}" if failure["node"] else "")
    gave = [name for name, value in context["outputs"].items() if value is not None]
    declared = dict.fromkeys(f"{each['node']} → {each['kind']}" for each in context["effects"])
    return f"completed: {', '.join([*gave, *declared]) or 'nothing'}"


def lines_of(header: Header, expectations: Iterable[Expectation]) -> Iterator[str]:
    """The lines of a corpus: the header, then the events by type, version, outcome and position."""
    yield to_json({_MARK: FORMAT, **asdict(header)}).decode()
    order = sorted(
        expectations, key=lambda each: (each.event.type, each.event.schema_version, each.outcome, each.event.position)
    )
    for each in order:
        names = ("failure",) if each.failure is not None else ("outputs", "effects")
        result = to_json({"outcome": each.outcome, **{name: getattr(each, name) for name in names}}).decode()
        # Line ends stand between the members of an event's data, if anywhere: in a string they are escaped.
        yield f'{result[:-1]},"event":{each.event.json.translate(_NO_BREAKS)}}}'


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a file holds."""

    header: Header
    expectations: Sequence[Expectation]


def read_corpus(lines: Sequence[bytes]) -> Corpus:
    """Read the lines of a corpus; empty ones are passed over.

    Raises:
        InvalidCorpus: names the line that cannot be read; or there is no event in it.
    """
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise InvalidCorpus("The corpus is empty: it has not even a first line.")
    header = _header(*numbered[0])
    expectations = [_expectation(number, line) for number, line in numbered[1:]]
    if not expectations:
        raise InvalidCorpus("The corpus is empty: it has a first line, and no event. Export it from a store with some.")
    return Corpus(header, expectations)


def _header(number: int, line: bytes) -> Header:
    try:
        found, _ = members(text_of(line))
        if found.pop(_MARK) != FORMAT:
            raise InvalidCorpus(f"line {number}: the corpus has another format than this version reads ({FORMAT}).")
        return Header(**{**found, "newest": parse_time(found["newest"])})
    except (MalformedJson, LookupError, TypeError, ValueError) as error:
        raise InvalidCorpus(
            f"line {number}: it is not the first line of a corpus, as playhead corpus export writes it."
        ) from error


def _expectation(number: int, line: bytes) -> Expectation:
    try:
        values, exact = members(text_of(line))
        envelope, exact = members(exact("event"))
        del envelope["data"]
        values["event"] = RecordedEvent.from_members(envelope, exact("data"))
        expected = Expectation(**values)
        _require_shapes(expected)
    except MalformedJson as error:
        raise InvalidCorpus(f"line {number}: {error.detail}") from error
    except (LookupError, TypeError, ValueError) as error:
        raise InvalidCorpus(f"line {number}: it is no event with its result ({error}).") from error
    return expected


def _require_shapes(expected: Expectation) -> None:
    """Refuse what a hand has changed, so that it is not taken for a difference."""
    if not isinstance(expected.outputs, dict):
        raise TypeError("outputs must be an object")
    if not isinstance(expected.effects, list | tuple):
        raise TypeError("effects must be a list")
    for effect in expected.effects:
        effect["node"], effect["ordinal"]
    if expected.failure is not None:
        expected.failure["node"], expected.failure["type"]
