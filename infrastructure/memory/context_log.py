"""MemoryContextLog: the context log as a list."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple
from datetime import datetime

from application.ports.context_log import (
    ContextLog,
    ContextStatus,
    Deciding,
    Origin,
    OriginCount,
    RecordedContext,
    Result,
)
from application.ports.promotions import View
from application.subscription import Selection
from infrastructure.memory.tables import MemoryTables


class MemoryContextLog(ContextLog):
    """Reads the contexts that completions appended in memory."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def head(self) -> int:
        with self._tables.lock:
            return len(self._tables.contexts)

    def position_at(self, time: datetime) -> int:
        with self._tables.lock:
            return bisect_right(self._tables.contexts, time, key=lambda row: row.context.recorded_at)

    def read(self, selection: Selection, *, limit: int) -> list[RecordedContext]:
        with self._tables.lock:
            return [row.context for row in self._tables.contexts if row.fits(selection)][:limit]

    def of_event(self, event_position: int) -> list[RecordedContext]:
        return self._where(event_position=event_position)

    def deciding(
        self, event_positions: Sequence[int], view: View, *, last: int | None = None
    ) -> Mapping[int, Deciding]:
        with self._tables.lock:
            found = ((position, self._tables.deciding_context(position, view, last)) for position in event_positions)
            return {position: Deciding(row.position, row.status) for position, row in found if row is not None}

    def ended(self, after: int, *, limit: int) -> list[tuple[int, int, ContextStatus]]:
        found = [(row.position, row.event_position, row.status) for row in self._where(generation=0)]
        return [row for row in found if row[0] > after][:limit]

    def summary(self, generation: int) -> list[tuple[str, ContextStatus, int]]:
        counted = Counter((row.pipeline, row.status) for row in self._where(generation=generation))
        return sorted((pipeline, status, count) for (pipeline, status), count in counted.items())

    def failures(self, generation: int) -> list[tuple[str, int]]:
        counted = Counter(row.failure or "" for row in self._where(generation=generation, status="dead"))
        return sorted(counted.items(), key=lambda each: (-each[1], each[0]))

    def results(self, generation: int, *, after: int, limit: int) -> list[Result]:
        rows = [
            *self._where(generation=generation, status="dead"),
            *self._where(generation=generation, status="completed"),
        ]
        found = {(row.event_position, row.pipeline): row for row in rows if row.event_position > after}
        names = Result.__slots__
        return [Result(**{name: getattr(found[key], name) for name in names}) for key in sorted(found)[:limit]]

    def origins(self, ranks: Mapping[int, int]) -> list[OriginCount]:
        found: dict[Origin, list[int]] = {}
        for _, event_position, origin in self._made(ranks):
            found.setdefault(origin, []).append(event_position)
        return [
            OriginCount(origin=origin, results=len(found[origin]), first=min(found[origin]))
            for origin in sorted(found, key=astuple)
        ]

    def of_origins(
        self, ranks: Mapping[int, int], origins: Collection[Origin], *, after: int, limit: int
    ) -> list[tuple[int, int, Origin]]:
        return [row for row in self._made(ranks) if row[0] > after and row[2] in origins][:limit]

    def _made(self, ranks: Mapping[int, int]) -> list[tuple[int, int, Origin]]:
        """Position, event position and origin of each completed context that holds."""
        types = {row.position: row.event.type for row in self._tables.events}
        completed = [row for row in self._where(status="completed") if row.generation in ranks]
        completed.sort(key=lambda row: ranks[row.generation])
        held = {(row.event_position, row.pipeline): row for row in completed}.values()
        return [
            (row.position, row.event_position, Origin(row.pipeline, row.fingerprint, types[row.event_position]))
            for row in sorted(held, key=lambda row: row.position)
            if row.event_position in types
        ]

    def _where(self, **columns: int | str) -> list[RecordedContext]:
        return self.read(Selection(where=columns), limit=self.head())
