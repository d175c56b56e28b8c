"""The context log on SQL. Rows come in by the completion of a claim alone."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    exists,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
    update,
)

from application.ports.context_log import (
    ContextLog,
    ContextStatus,
    Deciding,
    NewContext,
    Origin,
    OriginCount,
    RecordedContext,
    Result,
)
from application.ports.promotions import LIVE, View
from application.subscription import Selection
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.models import HeadRow, utc_text
from infrastructure.sql.selections import TABLES, position_at, within

_CONTEXTS = TABLES["task_contexts"]
_EVENTS = TABLES["events"]


class SqlContextLog(ContextLog):
    """Keeps the contexts of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def head(self) -> int:
        with self._database.reading() as connection:
            return connection.scalar(select(HeadRow.position).where(HeadRow.log == "task_contexts")) or 0

    def position_at(self, time: datetime) -> int:
        with self._database.snapshot() as connection:
            return position_at(connection, "task_contexts", time)

    def read(self, selection: Selection, *, limit: int) -> list[RecordedContext]:
        statement = within(select_contexts(), _CONTEXTS, selection, after=selection.after, limit=limit)
        with self._database.reading() as connection:
            return list(map(context_of, connection.execute(statement).all()))

    def of_event(self, event_position: int) -> list[RecordedContext]:
        # Two selects, because each of them has an index of its own.
        of_event = select_contexts().where(_CONTEXTS.c.event_position == event_position)
        both = union_all(
            of_event.where(_CONTEXTS.c.status == "completed"),
            of_event.where(_CONTEXTS.c.status != "completed"),
        )
        with self._database.reading() as connection:
            rows = [context_of(row) for row in connection.execute(both)]
        return sorted(rows, key=lambda row: row.position)

    def deciding(
        self, event_positions: Sequence[int], view: View, *, last: int | None = None
    ) -> Mapping[int, Deciding]:
        with self._database.reading() as connection:
            return deciding(connection, event_positions, view, last=last)

    def ended(self, after: int, *, limit: int) -> list[tuple[int, int, ContextStatus]]:
        columns = (_CONTEXTS.c.position, _CONTEXTS.c.event_position, _CONTEXTS.c.status)
        statement = within(select(*columns), _CONTEXTS, Selection(where={"generation": 0}), after=after, limit=limit)
        with self._database.reading() as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(statement)]

    def summary(self, generation: int) -> list[tuple[str, ContextStatus, int]]:
        statement = (
            select(_CONTEXTS.c.pipeline, _CONTEXTS.c.status, func.count())
            .where(_CONTEXTS.c.generation == generation)
            .group_by(_CONTEXTS.c.pipeline, _CONTEXTS.c.status)
            .order_by(_CONTEXTS.c.pipeline, _CONTEXTS.c.status)
        )
        with self._database.reading() as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(statement)]

    def failures(self, generation: int) -> list[tuple[str, int]]:
        kind, count = func.coalesce(_CONTEXTS.c.failure, ""), func.count()
        # The status stands in the statement itself, so that the partial index of what is dead is used.
        dead = (_CONTEXTS.c.status == literal_column("'dead'"), _CONTEXTS.c.generation == generation)
        with self._database.reading() as connection:
            found = [(row[0], row[1]) for row in connection.execute(select(kind, count).where(*dead).group_by(kind))]
        return sorted(found, key=lambda each: (-each[1], each[0]))

    def results(self, generation: int, *, after: int, limit: int) -> list[Result]:
        key = (_CONTEXTS.c.event_position, _CONTEXTS.c.pipeline)
        columns = [_CONTEXTS.c[name] for name in Result.__slots__]
        past = (_CONTEXTS.c.generation == generation, _CONTEXTS.c.event_position > after)
        # Apart, as each has an index of its own.
        completed = select(*columns).where(_CONTEXTS.c.status == "completed", *past).order_by(*key).limit(limit)
        last = select(func.max(_CONTEXTS.c.position)).where(_CONTEXTS.c.status == "dead", *past)
        dead = select(*columns).where(_CONTEXTS.c.position.in_(last.group_by(*key).order_by(*key).limit(limit)))
        with self._database.snapshot() as connection:
            rows = [Result(**row) for each in (dead, completed) for row in connection.execute(each).mappings()]
        found = {row.key: row for row in rows}
        return [found[key] for key in sorted(found)[:limit]]

    def origins(self, ranks: Mapping[int, int]) -> list[OriginCount]:
        key = (_CONTEXTS.c.pipeline, _CONTEXTS.c.fingerprint, _EVENTS.c.type)
        columns = (*key, func.count(), func.min(_EVENTS.c.position))
        both = _CONTEXTS.join(_EVENTS, _EVENTS.c.position == _CONTEXTS.c.event_position)
        statement = select(*columns).select_from(both).where(_holds(ranks)).group_by(*key).order_by(*key)
        with self._database.reading() as connection:
            return [
                OriginCount(origin=Origin(*row[:3]), results=row[3], first=row[4])
                for row in connection.execute(statement)
            ]

    def of_origins(
        self, ranks: Mapping[int, int], origins: Collection[Origin], *, after: int, limit: int
    ) -> list[tuple[int, int, Origin]]:
        # Not joined: a planner would begin with the events, and sort all of them for each page.
        type_ = select(_EVENTS.c.type).where(_EVENTS.c.position == _CONTEXTS.c.event_position).scalar_subquery()
        key = (_CONTEXTS.c.pipeline, _CONTEXTS.c.fingerprint, type_)
        wanted = [(origin.pipeline, origin.fingerprint, origin.type) for origin in origins]
        statement = select(_CONTEXTS.c.position, _CONTEXTS.c.event_position, *key)
        statement = statement.where(_holds(ranks), _CONTEXTS.c.position > after, tuple_(*key).in_(wanted))
        statement = statement.order_by(_CONTEXTS.c.position).limit(limit)
        with self._database.reading() as connection:
            return [(row[0], row[1], Origin(*row[2:])) for row in connection.execute(statement)]


def _holds(ranks: Mapping[int, int]) -> ColumnElement[bool]:
    """A completed context, where no generation of a higher rank has one of the same event and pipeline."""
    other = _CONTEXTS.alias()
    conditions = []
    for generation, rank in ranks.items():
        same = (other.c.event_position == _CONTEXTS.c.event_position, other.c.pipeline == _CONTEXTS.c.pipeline)
        higher = [each for each in ranks if ranks[each] > rank]
        beaten = exists().where(*same, other.c.status == "completed", other.c.generation.in_(higher))
        of_it = _CONTEXTS.c.generation == generation
        conditions.append(and_(of_it, ~beaten) if higher else of_it)
    return and_(_CONTEXTS.c.status == "completed", or_(*conditions))


def deciding(
    connection: Connection, event_positions: Sequence[int], view: View, *, last: int | None = None
) -> dict[int, Deciding]:
    """See `ContextLog.deciding`."""
    columns = (_CONTEXTS.c[name] for name in ("event_position", "status", "position", "generation"))
    rows = select(*columns).where(_CONTEXTS.c.event_position.in_(event_positions))
    if last is not None:
        rows = rows.where(_CONTEXTS.c.position <= last)
    # Apart, as each has an index of its own.
    both = union_all(
        rows.where(_CONTEXTS.c.status == "completed", _CONTEXTS.c.generation.in_(list(view.ranks))),
        rows.where(_CONTEXTS.c.status != "completed", _CONTEXTS.c.generation == LIVE),
    )
    # The one that decides comes last, and takes the place of those before it.
    ascending = sorted(
        connection.execute(both),
        key=lambda row: (row.status == "completed", view.ranks[row.generation], row.position),
    )
    return {row.event_position: Deciding(row.position, row.status) for row in ascending}


# The driver's own parameters, for SQLAlchemy would look at each value of each row.
_STORED = ("position", "recorded_at", *NewContext.__struct_fields__)
_INSERT = f"INSERT INTO task_contexts ({', '.join(_STORED)}) VALUES ({', '.join('?' * len(_STORED))})"  # noqa: S608  # our own names


def append_contexts(connection: Connection, contexts: Sequence[NewContext]) -> None:
    """Append contexts on SQLite, inside the transaction that completes their claim."""
    if not contexts:
        return
    head = connection.scalar(select(HeadRow.position).where(HeadRow.log == "task_contexts")) or 0
    now = connection.scalar(select(DatabaseNow()))
    recorded_at = utc_text(now)
    rows = [
        (position, recorded_at, *(getattr(context, name) for name in NewContext.__struct_fields__))
        for position, context in enumerate(contexts, head + 1)
    ]
    connection.exec_driver_sql(_INSERT, rows)
    connection.execute(update(HeadRow).where(HeadRow.log == "task_contexts").values(position=head + len(contexts)))


def select_contexts() -> Select[Any]:
    """Select what `context_of` reads."""
    return select(*(_CONTEXTS.c[name] for name in RecordedContext.__struct_fields__))


def context_of(row: Row[Any]) -> RecordedContext:
    """A row of `select_contexts` as the context it is."""
    return RecordedContext(*tuple(row))
