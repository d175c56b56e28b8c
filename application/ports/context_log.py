"""ContextLog: what pipelines made of events, one row a finished attempt, append-only and gapless."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from msgspec import Struct

from application.ports.promotions import View
from application.subscription import Selection

ContextStatus = Literal["completed", "failed", "dead", "discarded"]
"""`failed` is an attempt that is tried again; a context that is `dead` is the dead letter."""


class NewContext(Struct, frozen=True, kw_only=True):
    """A finished attempt as it is handed to a completion. `context` is the whole TaskContext as JSON text.

    `emits` says that the context asks for follow-up events, `calls` that it declares calls on the world outside.
    `failure` is what dead letters are grouped by: where the run failed and with what kind of exception.
    """

    event_position: int
    pipeline: str
    generation: int
    status: ContextStatus
    context: str
    digest: str
    fingerprint: str
    emits: bool = False
    failure: str | None = None
    calls: bool = False


class RecordedContext(Struct, frozen=True):
    """A finished attempt in the log. Nothing about it ever changes."""

    position: int
    event_position: int
    pipeline: str
    generation: int
    status: ContextStatus
    context: str
    digest: str
    fingerprint: str
    recorded_at: datetime
    emits: bool
    failure: str | None = None
    calls: bool = False


@dataclass(frozen=True, slots=True)
class Deciding:
    """The context that decides the state of an event."""

    position: int
    status: ContextStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How an event ended in a generation: its completed context, else its last dead letter. Without the text."""

    position: int
    event_position: int
    pipeline: str
    status: ContextStatus
    digest: str

    @property
    def key(self) -> tuple[int, str]:
        """What results are in order of, and unique by."""
        return self.event_position, self.pipeline


@dataclass(frozen=True, slots=True)
class Origin:
    """What made a result: a pipeline, the fingerprint of its code, and the type of the event."""

    pipeline: str
    fingerprint: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginCount:
    """How many results that hold an origin has made, and the first position of their events."""

    origin: Origin
    results: int
    first: int


class ContextLog(Protocol):
    """The log of contexts. It is appended to by `Claims.complete` alone."""

    def head(self) -> int:
        """The last position, 0 while the log is empty."""
        ...

    def position_at(self, time: datetime) -> int:
        """The last position that was recorded by a time, 0 where none was.

        Sought by halving: times ascend with the positions, as long as nobody sets back the database's clock.
        """
        ...

    def read(self, selection: Selection, *, limit: int) -> list[RecordedContext]:
        """The first selected contexts, by ascending position. `since` and `until` do not apply here."""
        ...

    def of_event(self, event_position: int) -> list[RecordedContext]:
        """Every context of one event, by ascending position."""
        ...

    def deciding(
        self, event_positions: Sequence[int], view: View, *, last: int | None = None
    ) -> Mapping[int, Deciding]:
        """The context that decides the state of each event, by event position.

        It is the completed one in the view, else the last live one. With `last`, as if no context behind that position
        were there yet.
        """
        ...

    def ended(self, after: int, *, limit: int) -> list[tuple[int, int, ContextStatus]]:
        """Position, event position and status of contexts of generation 0 past a position, without their text."""
        ...

    def summary(self, generation: int) -> list[tuple[str, ContextStatus, int]]:
        """How many contexts a generation has, by pipeline and status."""
        ...

    def failures(self, generation: int) -> list[tuple[str, int]]:
        """The kinds of failure that ended runs of a generation as `dead`, each with its count, the most frequent first.

        A kind is what dead letters are grouped by; empty where none was kept.
        """
        ...

    def results(self, generation: int, *, after: int, limit: int) -> list[Result]:
        """The first results of a generation, by event position (past `after`) and pipeline."""
        ...

    def origins(self, ranks: Mapping[int, int]) -> list[OriginCount]:
        """What made the completed contexts that hold, by pipeline, fingerprint and type.

        `ranks` are those of a view's generations: of two contexts of an event and a pipeline the higher one holds.
        """
        ...

    def of_origins(
        self, ranks: Mapping[int, int], origins: Collection[Origin], *, after: int, limit: int
    ) -> list[tuple[int, int, Origin]]:
        """The first completed contexts that hold and that these origins made, by position (past `after`).

        Position, event position and origin, without their text.
        """
        ...
