"""The audit on SQL: an append-only table; one writer at a time, so that positions have no gap."""

from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import func, insert, or_, select

from application.ports.audit import Audit, AuditEntry, NewAuditEntry
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.models import AuditRow

_TABLE = AuditRow.__table__
_LOCK = 0x617564697400
"""The advisory lock of PostgreSQL that a writer holds to its commit ("audit" in ASCII)."""


class SqlAudit(Audit):
    """Keeps the audit of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, entry: NewAuditEntry) -> AuditEntry:
        with self._database.writing() as connection:
            if self._database.is_postgres:  # on SQLite, all writers stand behind one lock
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            last = connection.scalar(select(func.max(AuditRow.position))) or 0
            values = {
                "position": last + 1,
                "recorded_at": DatabaseNow(),
                "actor": entry.actor,
                "action": entry.action,
                "target": entry.target,
                "detail": to_json(dict(entry.detail)).decode(),
            }
            return _entry(connection.execute(insert(AuditRow).values(values).returning(_TABLE)).one())

    def read(self, *, action: str | None = None, limit: int = 100) -> Sequence[AuditEntry]:
        statement = select(_TABLE).order_by(AuditRow.position.desc()).limit(limit)
        if action is not None:
            family = AuditRow.action.startswith(f"{action}.", autoescape=True)
            statement = statement.where(or_(AuditRow.action == action, family))
        with self._database.reading() as connection:
            return [_entry(row) for row in connection.execute(statement)]


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(
        position=row.position,
        recorded_at=row.recorded_at,
        actor=row.actor,
        action=row.action,
        target=row.target,
        detail=from_json(row.detail),
    )
