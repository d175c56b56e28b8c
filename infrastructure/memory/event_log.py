"""MemoryEventLog: the event log as a list."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from application.appending import judge
from application.ports.event_log import EventLog, Shape, Verdict
from application.subscription import Selection
from domain.events import NewEvent, RecordedEvent
from infrastructure.memory.tables import EventRow, MemoryTables


class MemoryEventLog(EventLog):
    """Keeps events in memory."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def append(self, events: Sequence[NewEvent], *, atomic: bool = False) -> list[Verdict]:
        tables = self._tables
        with tables.lock:
            rows = tables.events
            known = {
                (row.event.source, row.event.key): (row.event.id, row.position, row.body_digest)
                for row in rows
                if row.event.key is not None
            }
            versions = {row.event.subject: row.position for row in rows if row.event.subject}
            verdicts = judge(events, known, versions, len(rows), atomic=atomic)
            now = tables.clock()
            for event, verdict in zip(events, verdicts, strict=True):
                if verdict.position is not None and not verdict.repeated:
                    rows.append(_row(event, verdict.position, now))
                    if event.route is not None and event.not_before is not None:
                        position, due = verdict.position, event.not_before
                        tables.make_claim(event.route, position, position, available_at=due)
        return verdicts

    def head(self) -> int:
        with self._tables.lock:
            return len(self._tables.events)

    def position_at(self, time: datetime) -> int:
        with self._tables.lock:
            return bisect_right(self._tables.events, time, key=lambda row: row.event.recorded_at)

    def get(self, event_id: str) -> RecordedEvent | None:
        with self._tables.lock:
            return next((row.event for row in self._tables.events if row.event.id == event_id), None)

    def caused_by(self, causes: Sequence[str], *, limit: int) -> list[RecordedEvent]:
        with self._tables.lock:
            found = [row.event for row in self._tables.events if row.event.cause in causes]
        return sorted(found, key=lambda event: (event.depth, event.position))[:limit]

    def with_key(self, source: str, key: str) -> RecordedEvent | None:
        with self._tables.lock:
            rows = (row.event for row in self._tables.events)
            return next((event for event in rows if (event.source, event.key) == (source, key)), None)

    def last_key(self, source: str) -> str | None:
        with self._tables.lock:
            keys = (row.event.key for row in self._tables.events if row.event.source == source)
            return max((key for key in keys if key is not None), default=None)

    def now(self) -> datetime:
        return self._tables.clock()

    def read(self, selection: Selection, *, limit: int) -> list[RecordedEvent]:
        with self._tables.lock:
            return [row.event for row in self._tables.events if row.fits(selection)][:limit]

    def stream(self, selection: Selection, *, page: int = 500) -> Iterator[RecordedEvent]:
        while batch := self.read(selection, limit=page):
            yield from batch
            selection = replace(selection, after=batch[-1].position)

    def nth(self, selection: Selection, number: int) -> int | None:
        rows = self.read(selection, limit=number)
        return rows[number - 1].position if len(rows) == number else None

    def count(self, selection: Selection) -> Mapping[str, int]:
        with self._tables.lock:
            return Counter(row.event.type for row in self._tables.events if row.fits(selection))

    def shapes(self) -> list[Shape]:
        with self._tables.lock:
            counted = Counter((row.event.type, row.event.schema_version) for row in self._tables.events)
        return [Shape(type=key[0], schema_version=key[1], count=counted[key]) for key in sorted(counted)]

    def sample(self, shape: Shape, *, limit: int) -> list[RecordedEvent]:
        where = {"type": shape.type, "schema_version": shape.schema_version}
        events = self.read(Selection(where=where), limit=shape.count)
        return [event for rank, event in enumerate(events) if shape.samples(rank, limit)]


def _row(event: NewEvent, position: int, now: datetime) -> EventRow:
    recorded = RecordedEvent(
        position=position,
        id=event.id,
        type=event.type,
        source=event.source,
        subject=event.subject,
        time=(event.time or now).astimezone(UTC),
        recorded_at=now,
        route=event.route,
        lane=event.lane,
        data=event.data,
        key=event.key,
        schema_version=event.schema_version,
        cause=event.cause,
        depth=event.depth,
        attributes=dict(event.attributes),
    )
    direct = event.route is not None and event.not_before is not None
    return EventRow(event=recorded, body_digest=event.body_digest, direct=direct)
