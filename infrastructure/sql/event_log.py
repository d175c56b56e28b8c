"""The event log on SQL: one server call an append on PostgreSQL, the same steps under the writer lock on SQLite."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import Any

from msgspec import structs
from pydantic_core import to_json
from sqlalchemy import Connection, Row, Select, func, insert, select, tuple_, update
from sqlalchemy.orm import Session

from application.appending import judge, refusal_of
from application.ports.event_log import EventLog, Shape, Verdict
from application.subscription import Selection
from domain.errors import AtomicRefused
from domain.events import NewEvent, RecordedEvent, attributes_from_json
from infrastructure.sql.arrays import Arrays
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.models import ClaimRow, EventRow, HeadRow, utc_text
from infrastructure.sql.repository import GenericRepository
from infrastructure.sql.selections import TABLES, position_at, within

_EVENTS = TABLES["events"]
_KEYS_AT_ONCE = 400


def event_of(row: Row[Any]) -> RecordedEvent:
    """A row of `select_events` as the event it is."""
    values = list(row)
    values[-1] = attributes_from_json(values[-1])
    return RecordedEvent(*values)


_NAMES = RecordedEvent.__struct_fields__
_COLUMNS = tuple(_EVENTS.c[name] for name in _NAMES)


def select_events() -> Select[Any]:
    """Select what `event_of` reads."""
    return select(*_COLUMNS)


class EventRepository(GenericRepository[EventRow]):
    """The events. They are created by appending them: the log gives each its position.

    On PostgreSQL the session's connection should be autocommitted, so that the log's head is held for one call.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session, EventRow)

    def create(self, new: NewEvent) -> EventRow:
        """Append one event, or find the one that has its key.

        Raises:
            KeyReused, WrongExpectedVersion: the log refuses it.
        """
        [verdict] = self.append([new])
        if verdict.refusal is not None:
            raise verdict.refusal
        row = self.get(verdict.position)
        assert row is not None
        return row

    def create_many(self, new: Sequence[NewEvent]) -> list[EventRow]:
        """Append events, all or none; those that were there before are found."""
        verdicts = self.append(new, atomic=True)
        refusals = [verdict.refusal for verdict in verdicts if verdict.refusal is not None]
        if refusals:
            # What refused the batch, rather than those it took along.
            raise next((refusal for refusal in refusals if not isinstance(refusal, AtomicRefused)), refusals[0])
        positions = [verdict.position for verdict in verdicts]
        rows = {row.position: row for row in self.list(EventRow.position.in_(positions), limit=len(positions))}
        return [rows[position] for position in positions if position is not None]

    def append(self, events: Sequence[NewEvent], *, atomic: bool = False) -> list[Verdict]:
        """The hot path of `create_many`: verdicts, and no objects. See `EventLog.append`."""
        connection = self.session.connection()
        if connection.dialect.name == "postgresql":
            return _append_postgres(connection, events, atomic=atomic)
        return _append_sqlite(connection, events, atomic=atomic)


class SqlEventLog(EventLog):
    """Keeps the events of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, events: Sequence[NewEvent], *, atomic: bool = False) -> list[Verdict]:
        if not events:
            return []
        # On PostgreSQL one autocommitted call; on SQLite a transaction behind the writer lock.
        database = self._database
        with database.calling() if database.is_postgres else database.writing() as connection:
            return EventRepository(Session(connection)).append(events, atomic=atomic)

    def head(self) -> int:
        with self._database.reading() as connection:
            return connection.scalar(select(HeadRow.position).where(HeadRow.log == "events")) or 0

    def position_at(self, time: datetime) -> int:
        with self._database.snapshot() as connection:
            return position_at(connection, "events", time)

    def get(self, event_id: str) -> RecordedEvent | None:
        with self._database.reading() as connection:
            row = connection.execute(select_events().where(_EVENTS.c.id == event_id)).one_or_none()
        return event_of(row) if row else None

    def caused_by(self, causes: Sequence[str], *, limit: int) -> list[RecordedEvent]:
        # In an order that no index has: by position alone, a planner may look for these few through the whole log.
        ordered = select_events().where(_EVENTS.c.cause.in_(causes)).order_by(_EVENTS.c.depth, _EVENTS.c.position)
        with self._database.reading() as connection:
            return [event_of(row) for row in connection.execute(ordered.limit(limit))]

    def with_key(self, source: str, key: str) -> RecordedEvent | None:
        with self._database.reading() as connection:
            statement = select_events().where(_EVENTS.c.source == source, _EVENTS.c.key == key)
            row = connection.execute(statement).one_or_none()
        return event_of(row) if row else None

    def last_key(self, source: str) -> str | None:
        greatest = select(_EVENTS.c.key).where(_EVENTS.c.source == source, _EVENTS.c.key.is_not(None))
        with self._database.reading() as connection:
            return connection.scalar(greatest.order_by(_EVENTS.c.key.desc()).limit(1))

    def now(self) -> datetime:
        with self._database.reading() as connection:
            now: datetime = connection.execute(select(DatabaseNow())).scalar_one()
        return now

    def read(self, selection: Selection, *, limit: int) -> list[RecordedEvent]:
        statement = within(select_events(), _EVENTS, selection, after=selection.after, limit=limit)
        with self._database.reading() as connection:
            # All at once: row by row the driver is asked a thousand times a claim.
            return list(map(event_of, connection.execute(statement).all()))

    def stream(self, selection: Selection, *, page: int = 500) -> Iterator[RecordedEvent]:
        while batch := self.read(selection, limit=page):
            yield from batch
            selection = replace(selection, after=batch[-1].position)

    def nth(self, selection: Selection, number: int) -> int | None:
        statement = within(select(_EVENTS.c.position), _EVENTS, selection, after=selection.after, limit=number)
        with self._database.reading() as connection:
            found: int | None = connection.scalar(statement.offset(number - 1).limit(1))
        return found

    def count(self, selection: Selection) -> Mapping[str, int]:
        chosen = within(select(_EVENTS.c.type), _EVENTS, selection, after=selection.after, limit=None)
        types = chosen.order_by(None).subquery()
        counted = select(types.c.type, func.count()).group_by(types.c.type).order_by(types.c.type)
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(counted)}

    # Both read every event (of the type), and need no index of their own, which each append would pay for. Of a million
    # flights, 400 bytes each, the counts took 0.5 s on SQLite and 0.2 s on PostgreSQL, the samples of all four shapes
    # together 1 s on either. A loose scan of an index finds which shapes there are, and not how many events they have.
    def shapes(self) -> list[Shape]:
        by = (_EVENTS.c.type, _EVENTS.c.schema_version)
        counted = select(*by, func.count()).group_by(*by)
        with self._database.reading() as connection:
            return sorted(
                (Shape(type=row[0], schema_version=row[1], count=row[2]) for row in connection.execute(counted)),
                key=lambda shape: (shape.type, shape.schema_version),
            )

    def sample(self, shape: Shape, *, limit: int) -> list[RecordedEvent]:
        rank = func.row_number().over(order_by=_EVENTS.c.position) - 1
        of_shape = (_EVENTS.c.type == shape.type, _EVENTS.c.schema_version == shape.schema_version)
        ranked = select(_EVENTS.c.position, rank.label("rank")).where(*of_shape).subquery()
        chosen = select(ranked.c.position).where(ranked.c.rank < shape.count, shape.samples(ranked.c.rank, limit))
        with self._database.reading() as connection:
            found = connection.execute(
                select_events().where(_EVENTS.c.position.in_(chosen)).order_by(_EVENTS.c.position)
            )
            return [event_of(row) for row in found]


def _append_postgres(connection: Connection, events: Sequence[NewEvent], *, atomic: bool) -> list[Verdict]:
    rows = connection.exec_driver_sql(_APPEND, _ARRAYS.of(events) | {"atomic": atomic}).all()
    [head] = [row.at_position for row in rows if row.item == 0]
    unlike = {row.item: row for row in rows}
    verdicts: list[Verdict] = []
    for ordinal, event in enumerate(events, 1):
        row = unlike.get(ordinal)
        if row is None:
            head += 1
            verdicts.append(Verdict(event.id, head))
        elif row.twin_of is not None:
            first = verdicts[row.twin_of - 1]
            verdicts.append(structs.replace(first, repeated=first.refusal is None))
        elif row.verdict == "repeated":
            verdicts.append(Verdict(str(row.event_id), row.at_position, repeated=True))
        else:
            verdicts.append(Verdict(None, None, refusal=refusal_of(row.verdict, event, row.at_position)))
    return verdicts


_ARRAYS = Arrays(
    {
        "ids": ("text[]::uuid", attrgetter("id")),
        "types": ("text", attrgetter("type")),
        "sources": ("text", attrgetter("source")),
        "subjects": ("text", attrgetter("subject")),
        "times": ("timestamptz", attrgetter("time")),
        "routes": ("text", attrgetter("route")),
        "lanes": ("smallint", attrgetter("lane")),
        "data": ("text", attrgetter("data")),
        "keys": ("text", attrgetter("key")),
        "body_digests": ("text", attrgetter("body_digest")),
        "expected_versions": ("bigint", attrgetter("expected_version")),
        "not_befores": ("timestamptz", attrgetter("not_before")),
        "schema_versions": ("integer", attrgetter("schema_version")),
        "causes": ("text[]::uuid", attrgetter("cause")),
        "depths": ("smallint", attrgetter("depth")),
        "attributes": ("text", lambda event: _attributes(event.attributes)),
    }
)
_APPEND = f"SELECT item, verdict, event_id, at_position, twin_of FROM append_events({_ARRAYS.places}, %(atomic)s)"  # noqa: S608  # our own names


def _append_sqlite(connection: Connection, events: Sequence[NewEvent], *, atomic: bool) -> list[Verdict]:
    head = connection.scalar(select(HeadRow.position).where(HeadRow.log == "events")) or 0
    known = _known(connection, events)
    versions = _versions(connection, events)
    verdicts = judge(events, known, versions, head, atomic=atomic)
    now = connection.scalar(select(DatabaseNow()))
    taken = [
        (event, verdict.position)
        for event, verdict in zip(events, verdicts, strict=True)
        if verdict.position is not None and not verdict.repeated
    ]
    if taken:
        recorded_at = utc_text(now)
        connection.exec_driver_sql(_INSERT, [_row(event, position, recorded_at) for event, position in taken])
        direct = [_claim(event, position) for event, position in taken if event.route and event.not_before]
        if direct:
            connection.execute(insert(ClaimRow), direct)
        connection.execute(update(HeadRow).where(HeadRow.log == "events").values(position=head + len(taken)))
    return verdicts


def _known(connection: Connection, events: Sequence[NewEvent]) -> dict[tuple[str, str], tuple[str, int, str]]:
    pairs = list({(event.source, event.key) for event in events if event.key is not None})
    known: dict[tuple[str, str], tuple[str, int, str]] = {}
    for begin in range(0, len(pairs), _KEYS_AT_ONCE):
        chosen = tuple_(_EVENTS.c.source, _EVENTS.c.key).in_(pairs[begin : begin + _KEYS_AT_ONCE])
        rows = connection.execute(
            select(_EVENTS.c.source, _EVENTS.c.key, _EVENTS.c.id, _EVENTS.c.position, _EVENTS.c.body_digest).where(
                _EVENTS.c.key.is_not(None), chosen
            )
        )
        known |= {(row.source, row.key): (row.id, row.position, row.body_digest) for row in rows}
    return known


def _versions(connection: Connection, events: Sequence[NewEvent]) -> dict[str, int]:
    subjects = {event.subject for event in events if event.expected_version is not None}
    return {
        subject: connection.scalar(
            select(func.max(_EVENTS.c.position)).where(_EVENTS.c.subject == subject, _EVENTS.c.subject != "")
        ) or 0
        for subject in subjects
    }  # fmt: skip


# The hot path of SQLite: the driver's own parameters, for SQLAlchemy would look at each value of each row.
_STORED = (*_NAMES, "body_digest", "direct")
_INSERT = f"INSERT INTO events ({', '.join(_STORED)}) VALUES ({', '.join('?' * len(_STORED))})"  # noqa: S608  # our own names


def _row(event: NewEvent, position: int, recorded_at: str) -> tuple[Any, ...]:
    """An event as the driver stores it, in the order of `_STORED`."""
    return (
        position,
        event.id,
        event.type,
        event.source,
        event.subject,
        utc_text(event.time) if event.time else recorded_at,
        recorded_at,
        event.route,
        event.lane,
        event.data,
        event.key,
        event.schema_version,
        event.cause,
        event.depth,
        _attributes(event.attributes),
        event.body_digest,
        bool(event.route and event.not_before),
    )


def _claim(event: NewEvent, position: int) -> dict[str, Any]:
    return {
        "subscription": event.route,
        "first_position": position,
        "last_position": position,
        "available_at": event.not_before,
    }


def _attributes(attributes: Mapping[str, Any]) -> str | None:
    return to_json(dict(attributes)).decode() if attributes else None
