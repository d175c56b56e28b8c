"""EventLog: what happened, append-only, gapless, in the order of commits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from application.subscription import Selection
from domain.errors import PlayheadError
from domain.events import NewEvent, RecordedEvent

MAX_APPEND = 500
"""Events that one shared commit takes at the most."""
MAX_ATOMIC = 1000
"""Events that one atomic commit takes at the most."""


class Verdict(Struct, frozen=True):
    """What became of one event of an append: taken now, taken before under the same key, or refused.

    `event_id` and `position` are those of the event in the log (of the first, when `repeated`); a refusal
    (KeyReused, WrongExpectedVersion, AtomicRefused) has neither.
    """

    event_id: str | None
    position: int | None
    repeated: bool = False
    refusal: PlayheadError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The events of one type whose data is of one schema version: how many there are."""

    type: str
    schema_version: int
    count: int

    def samples(self, rank: Any, limit: int) -> Any:
        """Whether the event of this rank (from 0) is one of `limit` (from 2) that are spread evenly; both ends are.

        Arithmetic alone, so that a rank may as well be a column of a database.
        """
        return rank * (limit - 1) % max(self.count - 1, 1) < limit - 1


class EventLog(Protocol):
    """The log of events. No method changes or removes a stored event, and the database refuses it too."""

    def append(self, events: Sequence[NewEvent], *, atomic: bool = False) -> list[Verdict]:
        """Append events in one durable commit and give each its verdict, in order.

        As if they came one after the other: an event whose (source, key) is known with the same body digest
        repeats the first answer, with another is refused; so does a twin in the same append. An event whose
        `expected_version` is not the position of its subject's last event (0: none) is refused. The others
        get the next positions. With `atomic`, one refusal refuses all: nothing is stored. An event with a
        route and `not_before` is stored together with its own claim, due then, that cursors pass over.

        Raises:
            Unavailable: the database cannot be reached; whether it committed may be unknown.
        """
        ...

    def head(self) -> int:
        """The last position, 0 while the log is empty."""
        ...

    def position_at(self, time: datetime) -> int:
        """The last position that was recorded by a time, 0 where none was.

        Sought by halving: times ascend with the positions, as long as nobody sets back the database's clock.
        """
        ...

    def get(self, event_id: str) -> RecordedEvent | None:
        """The event of this id."""
        ...

    def caused_by(self, causes: Sequence[str], *, limit: int) -> list[RecordedEvent]:
        """The events that the pipelines of these events (by id) asked for: first by depth, then by position."""
        ...

    def with_key(self, source: str, key: str) -> RecordedEvent | None:
        """The event that has this key of this source."""
        ...

    def last_key(self, source: str) -> str | None:
        """The greatest key, as text sorts, that an event of this source has."""
        ...

    def now(self) -> datetime:
        """The time of the log's clock: the only one that counts."""
        ...

    def read(self, selection: Selection, *, limit: int) -> list[RecordedEvent]:
        """The first selected events, by ascending position."""
        ...

    def stream(self, selection: Selection, *, page: int = 500) -> Iterator[RecordedEvent]:
        """All selected events by ascending position, read a page at a time."""
        ...

    def nth(self, selection: Selection, number: int) -> int | None:
        """The position of the selected event of this number, from 1; None where fewer are selected."""
        ...

    def count(self, selection: Selection) -> Mapping[str, int]:
        """How many events are selected, by type."""
        ...

    def shapes(self) -> list[Shape]:
        """Every shape that is stored, by type and schema version."""
        ...

    def sample(self, shape: Shape, *, limit: int) -> list[RecordedEvent]:
        """At most `limit` (from 2) events of a shape, by ascending position.

        They are spread evenly over those that `shape.count` counts, the first and the last among them.
        """
        ...
