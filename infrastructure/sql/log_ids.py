"""The ids of the logs on SQL, and the restores that changed them."""

from collections.abc import Mapping

from sqlalchemy import Connection, func, insert, select, update

from application.ports.log_ids import LogIds
from application.subscription import Log
from domain.seals import Restore
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.models import HeadRow, RestoreRow, SealRow

_RESTORES = [getattr(RestoreRow, name) for name in Restore.__slots__]


class SqlLogIds(LogIds):
    """Keeps the ids of one database's logs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, log: Log) -> str:
        with self._database.reading() as connection:
            return connection.execute(select(HeadRow.log_id).where(HeadRow.log == log)).scalar_one()

    def require_writable(self) -> None:
        with self._database.writing() as connection:
            # The weakest lock there is, in the way of no append; a standby refuses any.
            connection.execute(select(HeadRow.log).with_for_update(read=True, key_share=True))

    def renew(self, ids: Mapping[Log, str]) -> list[Restore]:
        with self._database.writing() as connection:
            return [_renew(connection, log, ids[log]) for log in sorted(ids)]

    def restores(self, log: Log) -> list[Restore]:
        chosen = select(*_RESTORES).where(RestoreRow.log == log).order_by(RestoreRow.id)
        with self._database.reading() as connection:
            return [Restore(**row) for row in connection.execute(chosen).mappings()]


def _renew(connection: Connection, log: Log, log_id: str) -> Restore:
    # The head's lock first: what is read after it is the log as it stays under the old id.
    head = connection.execute(
        select(HeadRow.position, HeadRow.log_id).where(HeadRow.log == log).with_for_update()
    ).one()
    sealed = connection.scalar(select(func.max(SealRow.last_position)).where(SealRow.log == log)) or 0
    kept = connection.execute(
        insert(RestoreRow)
        .values(
            log=log,
            log_id=log_id,
            previous_id=head.log_id,
            position=head.position,
            sealed=sealed,
            recorded_at=DatabaseNow(),
        )
        .returning(*_RESTORES)
    )
    restore = Restore(**kept.mappings().one())
    connection.execute(update(HeadRow).where(HeadRow.log == log).values(log_id=log_id))
    return restore
