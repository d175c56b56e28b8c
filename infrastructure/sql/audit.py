"""The audit on SQL: an append-only table, whose head's lock gives positions without a gap."""

from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import insert, or_, select, update

from application.ports.audit import Audit, AuditEntry, NewAuditEntry
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.models import AuditRow, HeadRow

_TABLE = AuditRow.__table__


class SqlAudit(Audit):
    """Keeps the audit of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, entry: NewAuditEntry) -> AuditEntry:
        next_position = update(HeadRow).where(HeadRow.log == "audit").values(position=HeadRow.position + 1)
        with self._database.writing() as connection:
            position = connection.execute(next_position.returning(HeadRow.position)).scalar_one()
            values = {
                "position": position,
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
