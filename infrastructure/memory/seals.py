"""MemorySeals: the seals as a list, over rows as every database would give them."""

from dataclasses import replace

from msgspec.structs import asdict
from pydantic_core import to_json

from application.ports.seals import Seals
from application.subscription import Log
from domain.seals import SEALED_COLUMNS, Seal, canonical, row_digest
from domain.verification import LogEnds
from infrastructure.memory.tables import ContextRow, EventRow, MemoryTables


class MemorySeals(Seals):
    """Keeps seals in memory."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def ends(self, log: Log) -> LogEnds:
        with self._tables.lock:
            rows = self._tables.rows(log)
            last = rows[-1].position if rows else 0
            return LogEnds(log_id=self._tables.log_ids[log], head=last, last=last)

    def digests(self, log: Log, *, after: int | None, limit: int) -> list[tuple[int, bytes]]:
        with self._tables.lock:
            rows = [row for row in self._tables.rows(log) if after is None or row.position > after]
            return [(row.position, _digest(log, row)) for row in rows[:limit]]

    def append(self, seal: Seal) -> bool:
        with self._tables.lock:
            taken = any((kept.log, kept.first) == (seal.log, seal.first) for kept in self._tables.seals)
            if not taken:
                self._tables.seals.append(replace(seal, recorded_at=self._tables.clock()))
            return not taken

    def at(self, log: Log, position: int) -> Seal | None:
        seals = self.read(log, after=0, limit=len(self._tables.seals), digests=False)
        return next((seal for seal in reversed(seals) if seal.first <= position), None)

    def read(self, log: Log, *, after: int, limit: int, digests: bool = True) -> list[Seal]:
        with self._tables.lock:
            found = [seal for seal in self._tables.seals if seal.log == log and seal.first > after]
        found.sort(key=lambda seal: seal.first)
        return [seal if digests else replace(seal, digests=None) for seal in found[:limit]]


def _digest(log: Log, row: EventRow | ContextRow) -> bytes:
    if isinstance(row, EventRow):
        columns = {**asdict(row.event), "body_digest": row.body_digest, "direct": row.direct}
        columns["attributes"] = to_json(dict(row.event.attributes)) if row.event.attributes else None
    else:
        columns = {name: getattr(row.context, name) for name in row.context.__struct_fields__}
    return row_digest([canonical(columns[name]) for name in SEALED_COLUMNS[log]])
