"""Task states on SQL: derived from contexts and claims, looked for where they are rare."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic_core import from_json
from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, or_, select, union_all
from sqlalchemy.orm import aliased

from application.ports.task_states import EventFilter, TaskState, TaskStates, TaskStatus
from domain.events import RecordedEvent
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.event_log import event_of, select_events
from infrastructure.sql.models import ClaimRow, ContextRow, EventRow, SubscriptionRow

_LIVE = 0


class SqlTaskStates(TaskStates):
    """Reads the states of one database's events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, events: Sequence[RecordedEvent]) -> list[TaskState]:
        if not events:
            return []
        positions = [event.position for event in events]
        with self._database.reading() as connection:
            now = connection.scalar(select(DatabaseNow()))
            last = _last_contexts(connection, positions)
            claims = _claims_over(connection, positions)
        assert now is not None
        return [_state(event, last.get(event.position), claims.get(event.position), now) for event in events]

    def find(
        self, wanted: EventFilter, *, before: int | None = None, after: int | None = None, limit: int
    ) -> list[RecordedEvent]:
        statement = select_events().where(*_conditions(wanted))
        if wanted.status is not None:
            statement = statement.where(_has_status(wanted.status))
        if after is not None:
            statement = statement.where(EventRow.position > after).order_by(EventRow.position)
        else:
            if before is not None:
                statement = statement.where(EventRow.position < before)
            statement = statement.order_by(EventRow.position.desc())
        with self._database.reading() as connection:
            return [event_of(row) for row in connection.execute(statement.limit(limit))]


def _conditions(wanted: EventFilter) -> Iterable[ColumnElement[bool]]:
    if wanted.type is not None:
        yield EventRow.type == wanted.type
    if wanted.subject is not None:
        yield and_(EventRow.subject == wanted.subject, EventRow.subject != "")
    if wanted.since is not None:
        yield EventRow.time >= wanted.since
    if wanted.until is not None:
        yield EventRow.time < wanted.until


def _has_status(status: TaskStatus) -> ColumnElement[bool]:
    """The events of a status, begun from the small side: claims, cursors, contexts that are not completed."""
    if status == "unrouted":
        return and_(EventRow.route.is_(None), ~_ended("dead", "discarded", "completed"))
    if status == "succeeded":
        return exists().where(
            ContextRow.event_position == EventRow.position,
            ContextRow.status == "completed",
            ContextRow.generation == _LIVE,
        )
    if status in {"failed", "discarded"}:
        return EventRow.position.in_(_dead("dead" if status == "failed" else "discarded"))
    leased = and_(ClaimRow.owner.is_not(None), ClaimRow.available_at > DatabaseNow())
    if status == "running":
        return EventRow.position.in_(_claimed(leased))
    if status == "retrying":
        return EventRow.position.in_(_claimed(and_(~leased_or_false(leased), ClaimRow.attempt > 0)))
    waiting = _claimed(and_(~leased_or_false(leased), ClaimRow.attempt == 0))
    behind = (
        select(EventRow.position)
        .join(SubscriptionRow, SubscriptionRow.name == EventRow.route)
        .where(EventRow.position > SubscriptionRow.cursor, ~EventRow.direct)
    )
    return EventRow.position.in_(union_all(waiting, behind))


def leased_or_false(leased: ColumnElement[bool]) -> ColumnElement[bool]:
    """A lease condition that is false, not null, where there is no owner."""
    return func.coalesce(leased, False)


def _claimed(condition: ColumnElement[bool]) -> Select[Any]:
    """The positions of uncompleted events that claims of a kind cover."""
    covered = aliased(EventRow)
    return (
        select(covered.position)
        .select_from(ClaimRow)
        .join(covered, _covers(covered))
        .where(condition, ~_ended("completed", position=covered.position))
    )


def _covers(covered: Any) -> ColumnElement[bool]:
    """A claim covers the events of its route in its range; those that have their own claim, only by itself."""
    return and_(
        covered.route == ClaimRow.subscription,
        covered.position.between(ClaimRow.first_position, ClaimRow.last_position),
        or_(~covered.direct, ClaimRow.first_position == ClaimRow.last_position),
    )


def _dead(status: str) -> Select[Any]:
    """The positions of events whose last context has this status, and that no claim covers."""
    later = aliased(ContextRow)
    event = aliased(EventRow)
    superseded = exists().where(
        later.event_position == ContextRow.event_position,
        later.generation == _LIVE,
        or_(
            later.status == "completed",
            and_(later.status != "completed", later.position > ContextRow.position),
        ),
    )
    return (
        select(ContextRow.event_position)
        .join(event, event.position == ContextRow.event_position)
        .where(
            ContextRow.status != "completed",
            ContextRow.status == status,
            ContextRow.generation == _LIVE,
            ~superseded,
            ~exists().where(_covers(event)),
        )
    )


def _ended(*statuses: str, position: Any = EventRow.position) -> ColumnElement[bool]:
    """Whether an event has a live context of one of these statuses."""
    return or_(
        *(
            exists().where(
                ContextRow.event_position == position,
                ContextRow.status == status,
                ContextRow.generation == _LIVE,
            )
            for status in statuses
        )
    )


def _last_contexts(connection: Connection, positions: list[int]) -> dict[int, tuple[str, int]]:
    """Status and position of the context that decides, by event: the completed one, else the last."""
    rows = select(ContextRow.event_position, ContextRow.status, ContextRow.position).where(
        ContextRow.event_position.in_(positions), ContextRow.generation == _LIVE
    )
    both = union_all(rows.where(ContextRow.status == "completed"), rows.where(ContextRow.status != "completed"))
    found: dict[int, tuple[str, int]] = {}
    for event_position, status, position in sorted(connection.execute(both).tuples(), key=lambda row: row[2]):
        if found.get(event_position, ("",))[0] != "completed":
            found[event_position] = status, position
    return found


def _claims_over(connection: Connection, positions: list[int]) -> dict[int, Any]:
    columns = (ClaimRow.attempt, ClaimRow.owner, ClaimRow.available_at, ClaimRow.progress)
    statement = (
        select(EventRow.position, *columns).join(ClaimRow, _covers(EventRow)).where(EventRow.position.in_(positions))
    )
    return {row.position: row for row in connection.execute(statement)}


def _state(event: RecordedEvent, last: tuple[str, int] | None, claim: Any, now: datetime) -> TaskState:
    context_position = last and last[1]
    if last and last[0] == "completed":
        return TaskState(status="succeeded", context_position=context_position)
    if claim is not None:
        due = claim.available_at
        if claim.owner is not None and due > now:
            progress = from_json(claim.progress) if claim.progress else None
            return TaskState(status="running", attempt=claim.attempt, progress=progress)
        status: TaskStatus = "retrying" if claim.attempt else "queued"
        return TaskState(status=status, attempt=claim.attempt, due_at=due, context_position=context_position)
    if last and last[0] in {"dead", "discarded"}:
        ended: TaskStatus = "failed" if last[0] == "dead" else "discarded"
        return TaskState(status=ended, context_position=context_position)
    return TaskState(status="unrouted" if event.route is None else "queued")
