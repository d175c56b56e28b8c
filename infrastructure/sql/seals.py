"""The seals on SQL, and the rows of the logs as they are sealed: the same bytes from both databases."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    Integer,
    Label,
    LargeBinary,
    Select,
    Text,
    case,
    cast,
    extract,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from application.ports.seals import Seals
from application.subscription import Log
from domain.seals import SEALED_COLUMNS, Seal, canonical, row_digest
from domain.verification import LogEnds
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.models import HeadRow, SealRow, utc_text
from infrastructure.sql.selections import TABLES

_LINK = (
    SealRow.log,
    SealRow.log_id,
    SealRow.first_position.label("first"),
    SealRow.last_position.label("last"),
    SealRow.content,
    SealRow.previous,
    SealRow.chain,
    SealRow.recorded_at,
)


class SqlSeals(Seals):
    """Keeps the seals of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ends(self, log: Log) -> LogEnds:
        # One statement: what it tells is of one moment.
        last = select(func.coalesce(func.max(TABLES[log].c.position), 0)).scalar_subquery().label("last")
        chosen = select(HeadRow.log_id, HeadRow.position, last).where(HeadRow.log == log)
        with self._database.reading() as connection:
            log_id, head, last_row = connection.execute(chosen).one()
        return LogEnds(log_id=log_id, head=head, last=last_row)

    def digests(self, log: Log, *, after: int | None, limit: int) -> list[tuple[int, bytes]]:
        position = TABLES[log].c.position
        chosen, times = (_of_postgres(log), []) if self._database.is_postgres else (_of_sqlite(log), _times(log))
        if after is not None:
            chosen = chosen.where(position > after)
        with self._database.reading() as connection:
            rows = connection.execute(chosen.order_by(position).limit(limit)).all()
        return [(row[0], row_digest(_fields(row[1:], times))) for row in rows]

    def append(self, seal: Seal) -> bool:
        values = {
            "log": seal.log,
            "first_position": seal.first,
            "last_position": seal.last,
            "log_id": seal.log_id,
            "content": seal.content,
            "previous": seal.previous,
            "chain": seal.chain,
            "recorded_at": DatabaseNow(),
            "digests": seal.digests,
        }
        dialect = postgresql if self._database.is_postgres else sqlite
        with self._database.writing() as connection:
            inserted = dialect.insert(SealRow).values(values).on_conflict_do_nothing().returning(SealRow.first_position)
            return connection.scalar(inserted) is not None

    def at(self, log: Log, position: int) -> Seal | None:
        begun = select(*_LINK).where(SealRow.log == log, SealRow.first_position <= position)
        with self._database.reading() as connection:
            row = connection.execute(begun.order_by(SealRow.first_position.desc()).limit(1)).mappings().one_or_none()
        return Seal(**row) if row else None

    def read(self, log: Log, *, after: int, limit: int, digests: bool = True) -> list[Seal]:
        columns = (*_LINK, SealRow.digests) if digests else _LINK
        begun = select(*columns).where(SealRow.log == log, SealRow.first_position > after)
        with self._database.reading() as connection:
            rows = connection.execute(begun.order_by(SealRow.first_position).limit(limit)).mappings()
            return [Seal(**row) for row in rows]


def _of_postgres(log: Log) -> Select[Any]:
    """Select the rows as PostgreSQL spells their canonical forms."""
    table = TABLES[log]
    return select(table.c.position, *(_spelt(table.c[name]) for name in SEALED_COLUMNS[log]))


def _spelt(column: ColumnElement[Any]) -> Label[Any]:
    spelt: ColumnElement[Any] = column
    if isinstance(column.type, DateTime):
        # Only a changed row has a time that is no number; it is read as none.
        spelt = case((func.isfinite(column), cast(extract("epoch", column) * 1_000_000, BigInteger)))
    elif isinstance(column.type, Boolean):
        spelt = cast(column, Integer)
    return cast(spelt, Text).label(None)


def _of_sqlite(log: Log) -> Select[Any]:
    """Select the rows as SQLite stores them, byte by byte: a changed row may hold what no type can read."""
    table = TABLES[log]
    return select(table.c.position, *(cast(table.c[name], LargeBinary).label(None) for name in SEALED_COLUMNS[log]))


def _times(log: Log) -> list[int]:
    """Which of the sealed columns SQLite keeps as the text of a time."""
    columns = TABLES[log].c
    return [index for index, name in enumerate(SEALED_COLUMNS[log]) if isinstance(columns[name].type, DateTime)]


def _fields(row: Sequence[Any], times: Sequence[int]) -> list[bytes | None]:
    fields = [canonical(field) for field in row]
    for index in times:
        fields[index] = _time(fields[index])
    return fields


def _time(stored: bytes | None) -> bytes | None:
    """The canonical form of a time's text; of a changed one, that Playhead would not have written, the text."""
    if stored is None:
        return None
    with suppress(ValueError):
        time = datetime.fromisoformat(stored.decode())
        if time.tzinfo is not None and utc_text(time).encode() == stored:
            return canonical(time)
    return stored
