"""Controls on SQL: pauses are a column; an adoption moves what has not ended in one transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, case, delete, func, insert, literal, or_, select, update

from application.ports.controls import Controls
from domain.errors import NotFound
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.models import ClaimRow, EventRow, HeadRow, SubscriptionRow
from infrastructure.sql.task_states import completed, followed


class SqlControls(Controls):
    """Keeps the decisions in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def named(self, name: str) -> list[str]:
        meant = or_(SubscriptionRow.route == name, SubscriptionRow.name == name)
        with self._database.reading() as connection:
            return list(connection.scalars(select(SubscriptionRow.name).where(meant).order_by(SubscriptionRow.name)))

    def pause(self, subscriptions: Sequence[str]) -> None:
        self._set_paused(subscriptions, paused=True)

    def resume(self, subscriptions: Sequence[str]) -> None:
        self._set_paused(subscriptions, paused=False)

    def _set_paused(self, subscriptions: Sequence[str], *, paused: bool) -> None:
        changed = update(SubscriptionRow).where(SubscriptionRow.name.in_(subscriptions)).values(paused=paused)
        with self._database.writing() as connection:
            connection.execute(changed)

    def adopt(self, old: str, new: str) -> int:
        with self._database.writing() as connection:
            # The head first, as in an append: no event of the old pipeline comes between the look and the new cursors.
            head = connection.scalar(select(HeadRow.position).where(HeadRow.log == "events").with_for_update())
            givers, takers = _locked(connection, old), _locked(connection, new)
            moved = sum(_move(connection, giver, taker) for giver in givers for taker in takers)
            names = [giver.name for giver in givers]
            connection.execute(delete(ClaimRow).where(ClaimRow.subscription.in_(names)))
            connection.execute(update(SubscriptionRow).where(SubscriptionRow.name.in_(names)).values(cursor=head))
        return moved


def _locked(connection: Connection, route: str) -> list[Any]:
    rows = select(SubscriptionRow.__table__).where(SubscriptionRow.route == route).order_by(SubscriptionRow.name)
    found = list(connection.execute(rows.with_for_update()))
    if not found:
        raise NotFound(f"No process has ever loaded a pipeline called {route!r}.")
    return found


def _move(connection: Connection, giver: Any, taker: Any) -> int:
    """Make a claim of the taker for each event of the giver that has not ended and belongs in the taker's lane."""
    mine = and_(*followed(EventRow, giver))
    covered = and_(
        ClaimRow.subscription == giver.name,
        EventRow.position.between(ClaimRow.first_position, ClaimRow.last_position),
        or_(ClaimRow.first_position == ClaimRow.last_position, mine),
    )
    due = case((ClaimRow.owner.is_(None), ClaimRow.available_at))
    events = (
        select(
            literal(taker.name),
            EventRow.position,
            EventRow.position,
            func.coalesce(ClaimRow.attempt, 0),
            literal(0),
            literal(0),
            func.coalesce(due, DatabaseNow()),
        )
        .select_from(EventRow)
        .join(ClaimRow, covered, isouter=True)
        .where(
            or_(ClaimRow.id.is_not(None), and_(mine, EventRow.position > giver.cursor)),
            EventRow.lane % taker.lanes == taker.lane,
            ~completed(EventRow.position),
        )
    )
    columns = ("subscription", "first_position", "last_position", "attempt", "deaths", "fence", "available_at")
    inserted = insert(ClaimRow).from_select(columns, events)
    return connection.execute(inserted, execution_options={"preserve_rowcount": True}).rowcount
