"""MemoryAudit: the audit as a list."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from pydantic_core import from_json, to_json

from application.ports.audit import Audit, AuditEntry, NewAuditEntry
from infrastructure.memory.tables import MemoryTables


class MemoryAudit(Audit):
    """Keeps entries in memory."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def record(self, entry: NewAuditEntry) -> AuditEntry:
        with self._tables.lock:
            position = len(self._tables.audit) + 1
            as_json = replace(entry, detail=from_json(to_json(dict(entry.detail))))
            kept = AuditEntry(**asdict(as_json), position=position, recorded_at=self._tables.clock())
            self._tables.audit.append(kept)
            return kept

    def read(self, *, action: str | None = None, limit: int = 100) -> Sequence[AuditEntry]:
        with self._tables.lock:
            newest_first = self._tables.audit[::-1]
        return [entry for entry in newest_first if action is None or _is_of(entry, action)][:limit]


def _is_of(entry: AuditEntry, action: str) -> bool:
    return entry.action == action or entry.action.startswith(f"{action}.")
