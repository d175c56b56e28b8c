"""Task states on SQL: derived from contexts and claims, looked for where they are rare."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic_core import from_json
from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, or_, select
from sqlalchemy.orm import aliased

from application.ports.context_log import Deciding
from application.ports.promotions import LIVE, View
from application.ports.task_states import EventClaim, EventFilter, EventState, TaskState, TaskStates, TaskStatus
from domain.events import RecordedEvent
from infrastructure.sql.context_log import deciding
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.event_log import event_of, select_events
from infrastructure.sql.models import ClaimRow, ContextRow, EventRow, SubscriptionRow
from infrastructure.sql.promotions import current_view


class SqlTaskStates(TaskStates):
    """Reads the states of one database's events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, events: Sequence[RecordedEvent]) -> list[TaskState]:
        if not events:
            return []
        with self._database.snapshot() as connection:
            return _states(connection, events)

    def find(
        self, wanted: EventFilter, *, before: int | None = None, after: int | None = None, limit: int
    ) -> list[EventState]:
        with self._database.snapshot() as connection:
            statement = select_events()
            if wanted.status is None:
                statement = _page(
                    statement, EventRow, EventRow.position, wanted, before=before, after=after, limit=limit
                )
            else:
                statement = statement.where(
                    EventRow.position.in_(_positions(connection, wanted, before, after, limit))
                ).order_by(EventRow.position if after is not None else EventRow.position.desc())
            found = [event_of(row) for row in connection.execute(statement)]
            return [EventState(event, state) for event, state in zip(found, _states(connection, found), strict=True)]


def _states(connection: Connection, events: Sequence[RecordedEvent]) -> list[TaskState]:
    positions = [event.position for event in events]
    now = connection.scalar(select(DatabaseNow()))
    assert now is not None
    last = deciding(connection, positions, current_view(connection))
    claims = _claims_over(connection, positions)
    return [_state(event, last.get(event.position), claims.get(event.position), now) for event in events]


def _page(
    statement: Select[Any],
    event: Any,
    order: Any,
    wanted: EventFilter,
    *,
    before: int | None,
    after: int | None,
    limit: int,
) -> Select[Any]:
    """Narrow a statement on events to what is wanted, from where the page begins; `order` has their positions."""
    if wanted.type is not None:
        statement = statement.where(event.type == wanted.type)
    if wanted.subject is not None:
        statement = statement.where(event.subject == wanted.subject)
        if wanted.subject:
            statement = statement.where(event.subject != "")  # said again for the index, which holds just these
    if wanted.since is not None:
        statement = statement.where(event.time >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(event.time < wanted.until)
    if wanted.last is not None:
        statement = statement.where(event.position <= wanted.last)
    if after is not None:
        return statement.where(order > after).order_by(order).limit(limit)
    if before is not None:
        statement = statement.where(order < before)
    return statement.order_by(order.desc()).limit(limit)


def _positions(
    connection: Connection, wanted: EventFilter, before: int | None, after: int | None, limit: int
) -> list[int]:
    """The positions of a page of events with a status, looked for from the small side."""
    found: set[int] = set()
    for event, order, candidates in _candidates(connection, wanted.status, current_view(connection)):
        page = _page(candidates, event, order, wanted, before=before, after=after, limit=limit)
        found.update(connection.scalars(page))
    return sorted(found, reverse=after is None)[:limit]


def _candidates(
    connection: Connection, status: TaskStatus | None, view: View
) -> Iterable[tuple[Any, Any, Select[Any]]]:
    """Selects of event positions that together hold a status, each begun from claims, cursors or contexts.

    With each its events, and the column whose order is that of an index: SQLite begins there, and sorts nothing.
    """
    event = aliased(EventRow)
    ended = ContextRow.event_position
    leased = func.coalesce(and_(ClaimRow.owner.is_not(None), ClaimRow.available_at > DatabaseNow()), False)
    if status == "succeeded":
        yield event, ended, ended_with(event, "completed", view)
    elif status in {"failed", "discarded"}:
        yield event, ended, ended_with(event, "dead" if status == "failed" else "discarded", view)
    elif status == "running":
        yield event, event.position, _claimed(event, leased, view)
    elif status == "retrying":
        yield event, event.position, _claimed(event, and_(~leased, ClaimRow.attempt > 0), view)
    elif status == "queued":
        # Of `attempt == 0` SQLite would make an index of all claims, and for that begin with the events.
        yield event, event.position, _claimed(event, and_(~leased, ClaimRow.attempt < 1), view)
        # One select a subscription, with its cursor as a plain number: each is a range of the index on routes.
        for row in connection.execute(select(SubscriptionRow.__table__).where(SubscriptionRow.route.is_not(None))):
            waiting = select(event.position).where(*followed(event, row), event.position > row.cursor)
            waiting = waiting.where(~completed(event.position, view)) if view.promoted else waiting
            yield event, event.position, waiting
    elif status == "unrouted":
        unrouted = select(event.position).where(event.route.is_(None))
        unrouted = unrouted.where(~completed(event.position, view)) if view.promoted else unrouted
        yield event, event.position, unrouted


def _claimed(event: Any, condition: ColumnElement[bool], view: View) -> Select[Any]:
    """The positions of uncompleted events that claims of a kind cover."""
    return (
        select(event.position)
        .select_from(ClaimRow, SubscriptionRow, event)
        .where(_covers(event), condition, ~completed(event.position, view))
    )


def ended_with(event: Any, status: str, view: View = View()) -> Select[Any]:  # noqa: B008  # it is frozen
    """Select the positions of events whose deciding context has this status and that no claim covers."""
    statement = (
        select(ContextRow.event_position)
        .select_from(ContextRow)
        .join(event, event.position == ContextRow.event_position)
        .where(ContextRow.status == status)
    )
    if status == "completed":
        within = statement.where(ContextRow.generation.in_(list(view.ranks)))
        # Several generations may have a result of one event.
        return within.distinct() if view.promoted else within
    statement = statement.where(ContextRow.generation == LIVE)
    later = aliased(ContextRow)
    superseded = exists().where(
        later.event_position == ContextRow.event_position,
        later.status != "completed",
        later.generation == LIVE,
        later.position > ContextRow.position,
    )
    return statement.where(
        ContextRow.status != "completed",  # said again for the index, which holds just these
        ~superseded,
        ~completed(event.position, view),
        ~exists().where(_covers(event)),
    )


def _covers(event: Any) -> ColumnElement[bool]:
    """A pipeline's claim covers an event by itself, or the events in its range that the pipeline follows."""
    return and_(
        ClaimRow.subscription == SubscriptionRow.name,
        SubscriptionRow.route.is_not(None),
        event.position.between(ClaimRow.first_position, ClaimRow.last_position),
        or_(ClaimRow.first_position == ClaimRow.last_position, and_(*followed(event, SubscriptionRow))),
    )


def followed(event: Any, subscription: Any) -> list[ColumnElement[bool]]:
    """What makes an event one that a pipeline's cursor meets."""
    return [event.route == subscription.route, ~event.direct, event.lane % subscription.lanes == subscription.lane]


def completed(position: Any, view: View = View()) -> ColumnElement[bool]:  # noqa: B008  # it is frozen
    """Whether an event has a completed context in a view."""
    context = aliased(ContextRow)
    return exists().where(
        context.event_position == position,
        context.status == "completed",
        context.generation.in_(list(view.ranks)),
    )


def _claims_over(connection: Connection, positions: list[int]) -> dict[int, Any]:
    statement = (
        select(EventRow.position.label("event_position"), *ClaimRow.__table__.c)
        .select_from(EventRow, ClaimRow, SubscriptionRow)
        .where(_covers(EventRow), EventRow.position.in_(positions))
    )
    return {row.event_position: row for row in connection.execute(statement)}


def _state(event: RecordedEvent, last: Deciding | None, claim: Any, now: datetime) -> TaskState:
    context_position = None if last is None else last.position
    if last and last.status == "completed":
        return TaskState(status="succeeded", context_position=context_position)
    if claim is not None:
        due, covering = claim.available_at, _event_claim(claim)
        if claim.owner is not None and due > now:
            progress = from_json(claim.progress) if claim.progress else None
            return TaskState(status="running", attempt=claim.attempt, progress=progress, claim=covering)
        status: TaskStatus = "retrying" if claim.attempt else "queued"
        return TaskState(
            status=status, attempt=claim.attempt, due_at=due, context_position=context_position, claim=covering
        )
    if last and last.status in {"dead", "discarded"}:
        ended: TaskStatus = "failed" if last.status == "dead" else "discarded"
        return TaskState(status=ended, context_position=context_position)
    return TaskState(status="unrouted" if event.route is None else "queued")


def _event_claim(row: Any) -> EventClaim:
    return EventClaim(
        subscription=row.subscription,
        first=row.first_position,
        last=row.last_position,
        attempt=row.attempt,
        deaths=row.deaths,
        owner=row.owner,
        available_at=row.available_at,
    )
