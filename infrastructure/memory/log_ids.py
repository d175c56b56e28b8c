"""MemoryLogIds: the ids of the logs, and the restores as a list."""

from collections.abc import Mapping

from application.ports.log_ids import LogIds
from application.subscription import Log
from domain.seals import Restore
from infrastructure.memory.tables import MemoryTables


class MemoryLogIds(LogIds):
    """Keeps the ids of the logs in memory."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def of(self, log: Log) -> str:
        with self._tables.lock:
            return self._tables.log_ids[log]

    def require_writable(self) -> None:
        """It always is."""

    def renew(self, ids: Mapping[Log, str]) -> list[Restore]:
        tables = self._tables
        with tables.lock:
            made = [
                Restore(
                    log=log,
                    log_id=log_id,
                    previous_id=tables.log_ids[log],
                    position=len(tables.rows(log)),
                    sealed=max((seal.last for seal in tables.seals if seal.log == log), default=0),
                    recorded_at=tables.clock(),
                )
                for log, log_id in ids.items()
            ]
            tables.log_ids.update(ids)
            tables.restores += made
            return made

    def restores(self, log: Log) -> list[Restore]:
        with self._tables.lock:
            return [restore for restore in self._tables.restores if restore.log == log]
