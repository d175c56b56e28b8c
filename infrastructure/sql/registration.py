"""Registration: the rows of subscriptions, and the change from one set of lanes to another."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, exists, select
from sqlalchemy.dialects import postgresql, sqlite

from application.subscription import Lane, Selection, Subscription
from domain.errors import Misconfigured
from infrastructure.sql.models import ClaimRow, HeadRow, SubscriptionRow
from infrastructure.sql.selections import TABLES, within


def make_rows(connection: Connection, subscriptions: Sequence[Subscription]) -> None:
    """Make the rows of subscriptions that have none; see `Claims.register`."""
    retired = _retire_other_lanes(connection, subscriptions)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    rows = [
        {
            "name": subscription.name,
            "log": subscription.log,
            "cursor": retired.get(subscription.route or "", subscription.selection.after),
            "route": subscription.route,
            "lanes": lane.of,
            "lane": lane.number,
        }
        for subscription in subscriptions
        for lane in [subscription.selection.lane or Lane(0, 1)]
    ]
    connection.execute(dialect.insert(SubscriptionRow).on_conflict_do_nothing(), rows)


def _retire_other_lanes(connection: Connection, subscriptions: Sequence[Subscription]) -> dict[str, int]:
    """Remove the rows of other lanes of the same pipelines; by pipeline, the position from which the new ones go on.

    Whoever still works the old ones finds no row, and nothing to do.
    """
    names = {subscription.name for subscription in subscriptions}
    routes = {subscription.route for subscription in subscriptions if subscription.route is not None}
    # The head first: no event is appended between the look at what has ended and the new cursors.
    head = connection.scalar(select(HeadRow.position).where(HeadRow.log == "events").with_for_update()) or 0
    others = connection.execute(
        select(SubscriptionRow.__table__)
        .where(SubscriptionRow.route.in_(routes), SubscriptionRow.name.not_in(names))
        .order_by(SubscriptionRow.name)
        .with_for_update()
    ).all()
    for row in others:
        waiting = select(TABLES["events"].c.position)
        selection = Selection(where={"route": row.route, "direct": False}, lane=Lane(row.lane, row.lanes))
        behind = within(waiting, TABLES["events"], selection, after=row.cursor, limit=1)
        if connection.scalar(behind) or connection.scalar(select(exists().where(ClaimRow.subscription == row.name))):
            raise Misconfigured(
                f"Pipeline {row.route!r} has other lanes than until now, and events of {row.name!r} have not ended. "
                "Let the code with the old lanes end them (playhead doctor counts them), then start this one."
            )
    connection.execute(delete(SubscriptionRow).where(SubscriptionRow.name.in_([row.name for row in others])))
    return {row.route: head for row in others}
