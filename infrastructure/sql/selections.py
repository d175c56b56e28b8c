"""Selections as SQL: the one place where the columns that a subscription may filter on meet the tables."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, ColumnElement, Connection, Dialect, Integer, Select, Table, Text, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import expression
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeDecorator

from application.subscription import Log, Selection
from infrastructure.sql.models import ContextRow, EventRow, HeadRow

TABLES: dict[Log, Table] = {"events": EventRow.__table__, "task_contexts": ContextRow.__table__}  # type: ignore[dict-item]  # declarative types __table__ as FromClause


class _Positions(TypeDecorator[Sequence[int]]):
    """Positions as one parameter, as databases bound the number of these: an array's text, or JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[int] | None, dialect: Dialect) -> str:
        text = ",".join(map(str, value or ()))
        return f"{{{text}}}" if dialect.name == "postgresql" else f"[{text}]"


class _Among(expression.FunctionElement[bool]):
    """Whether a position is one of some."""

    type = Boolean()
    inherit_cache = True

    def __init__(self, position: Column[Any], positions: Sequence[int]) -> None:
        super().__init__(position, expression.bindparam(None, positions, type_=_Positions(), unique=True))


@compiles(_Among, "postgresql")
def _among_on_postgres(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    position, positions = (compiler.process(each, **options) for each in element.clauses)
    return f"{position} = ANY (CAST({positions} AS bigint[]))"


@compiles(_Among, "sqlite")
def _among_on_sqlite(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    position, positions = (compiler.process(each, **options) for each in element.clauses)
    return f"{position} IN (SELECT value FROM json_each({positions}))"  # noqa: S608  # a column, and a parameter's place


class _Flag(expression.FunctionElement[int]):
    """A flag as it stands, to the letter, in the condition of its partial index: planners look no further than that."""

    type = Integer()  # of a boolean SQLAlchemy would write a comparison
    inherit_cache = True


@compiles(_Flag)
def _flag(element: _Flag, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


class _Mostly(expression.FunctionElement[int]):
    """A condition that most rows of a range fulfil, so that the range is read in its order.

    PostgreSQL's planner, until it has statistics of a column, takes an equality for one in two hundred rows. It then
    reads all that waits by another index and sorts it, for each claim of it. A null test it takes for nearly all rows.
    """

    type = Integer()  # see above
    inherit_cache = True


@compiles(_Mostly, "postgresql")
def _mostly_on_postgres(element: _Mostly, compiler: SQLCompiler, **options: Any) -> str:
    return f"nullif({compiler.process(element.clauses, **options)}, false) IS NOT NULL"


@compiles(_Mostly, "sqlite")
def _mostly_on_sqlite(element: _Mostly, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


_DENSE = ("status", "generation")
"""The columns of contexts that a subscription filters on, and that most contexts have the value of."""


def selected(table: Table, selection: Selection) -> list[ColumnElement[Any]]:
    """The conditions of a selection on its log, but for its list of positions."""
    columns = table.c
    conditions = [_is(columns[name], value) for name, value in selection.where.items()]
    if selection.since is not None:
        conditions.append(columns.time >= selection.since)
    if selection.until is not None:
        conditions.append(columns.time < selection.until)
    if selection.after:
        conditions.append(columns.position > selection.after)
    if selection.last is not None:
        conditions.append(columns.position <= selection.last)
    if selection.lane is not None:
        conditions.append(columns.lane % selection.lane.of == selection.lane.number)
    return conditions


def _is(column: Column[Any], value: Any) -> ColumnElement[Any]:
    if value is True:
        return _Flag(column)
    if value is None or value is False:
        return column.is_(value)
    return _Mostly(column == value) if column.name in _DENSE else column == value


def within(
    statement: Select[Any],
    table: Table,
    selection: Selection,
    *,
    after: int,
    last: int | None = None,
    limit: int | None,
) -> Select[Any]:
    """Narrow a statement to the first `limit` (None: all) selected rows past a position, in ascending order."""
    position = table.c.position
    statement = statement.where(*selected(table, selection))
    if selection.positions is None:
        statement = statement.where(position > after)
        if last is not None:
            statement = statement.where(position <= last)
    else:
        begin = bisect_right(selection.positions, after)
        end = len(selection.positions) if last is None else bisect_left(selection.positions, last + 1)
        statement = statement.where(_Among(position, selection.positions[begin:end]))
    return statement.order_by(position).limit(limit)


def position_at(connection: Connection, log: Log, time: datetime) -> int:
    """The last position of a log that was recorded by a time. Halving asks for some twenty rows of a million."""
    table = TABLES[log]
    head = connection.scalar(select(HeadRow.position).where(HeadRow.log == log)) or 0

    def recorded_at(position: int) -> datetime:
        found: datetime = connection.execute(
            select(table.c.recorded_at).where(table.c.position == position)
        ).scalar_one()
        return found

    return bisect_right(range(1, head + 1), time, key=recorded_at)
