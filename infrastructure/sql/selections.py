"""Selections as SQL: the one place where the columns that a subscription may filter on meet the tables."""

from bisect import bisect_left, bisect_right
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, false, select

from application.subscription import Log, Selection
from infrastructure.sql.models import ContextRow, EventRow, HeadRow

TABLES: dict[Log, Table] = {"events": EventRow.__table__, "task_contexts": ContextRow.__table__}  # type: ignore[dict-item]  # declarative types __table__ as FromClause


def selected(table: Table, selection: Selection) -> list[ColumnElement[bool]]:
    """The conditions of a selection on its log, but for its list of positions."""
    columns = table.c
    conditions: list[ColumnElement[bool]] = [
        columns[name].is_(value) if value is None or isinstance(value, bool) else columns[name] == value
        for name, value in selection.where.items()
    ]
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
        chosen = selection.positions[begin:end]
        statement = statement.where(position.in_(chosen) if chosen else false())
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
