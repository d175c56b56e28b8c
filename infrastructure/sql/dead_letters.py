"""Dead letters on SQL: found where contexts are rare; decided about under the locks of the subscriptions."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, update
from sqlalchemy.orm import aliased

from application.ports.claims import Claim, Completion
from application.ports.context_log import NewContext
from application.ports.dead_letters import DeadLetter, DeadLetterFilter, DeadLetters, FailureGroup
from infrastructure.sql.completions import complete_on_postgres, complete_on_sqlite
from infrastructure.sql.context_log import context_of, select_contexts
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.event_log import event_of, select_events
from infrastructure.sql.models import ClaimRow, ContextRow, EventRow, SubscriptionRow
from infrastructure.sql.task_states import ended_with

_EVENT = aliased(EventRow)
_OPERATOR = "operator"


class SqlDeadLetters(DeadLetters):
    """Keeps the dead letters of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, wanted: DeadLetterFilter, *, before: int | None = None, limit: int) -> list[DeadLetter]:
        statement = _chosen(wanted).order_by(_EVENT.position.desc()).limit(limit)
        if before is not None:
            statement = statement.where(_EVENT.position < before)
        with self._database.snapshot() as connection:
            return _letters(connection, statement)[::-1]

    def of(self, positions: Sequence[int]) -> list[DeadLetter]:
        with self._database.snapshot() as connection:
            return _letters(connection, _among(positions))

    def groups(self, wanted: DeadLetterFilter) -> list[FailureGroup]:
        count, died = func.count(), ContextRow.recorded_at
        columns = (ContextRow.pipeline, ContextRow.failure, count, func.min(died), func.max(died))
        statement = _chosen(wanted).with_only_columns(*columns).group_by(ContextRow.pipeline, ContextRow.failure)
        with self._database.reading() as connection:
            rows = connection.execute(statement.order_by(count.desc(), ContextRow.pipeline, ContextRow.failure)).all()
        return [
            FailureGroup(pipeline=row[0], failure=row[1], count=row[2], first_at=row[3], last_at=row[4]) for row in rows
        ]

    def requeue(self, positions: Sequence[int]) -> list[int]:
        with self._database.writing() as connection:
            found = _locked(connection, positions)
            now = connection.scalar(select(DatabaseNow()))
            claims = [
                _claim(position, subscription) | {"available_at": now} for position, subscription in found.items()
            ]
            if claims:
                connection.execute(insert(ClaimRow), claims)
            _let_go(connection, found)
        return list(found)

    def discard(self, contexts: Sequence[NewContext]) -> list[int]:
        complete = complete_on_postgres if self._database.is_postgres else complete_on_sqlite
        with self._database.writing() as connection:
            found = _locked(connection, [context.event_position for context in contexts])
            for context in contexts:
                position = context.event_position
                if position in found:
                    claim = _held_claim(connection, position, found[position])
                    complete(connection, claim, Completion(contexts=[context]))
            _let_go(connection, found)
        return list(found)


def _chosen(wanted: DeadLetterFilter) -> Select[Any]:
    statement = ended_with(_EVENT, "dead")
    if wanted.pipeline is not None:
        statement = statement.where(ContextRow.pipeline == wanted.pipeline)
    if wanted.type is not None:
        statement = statement.where(_EVENT.type == wanted.type)
    if wanted.failure is not None:
        statement = statement.where(ContextRow.failure == wanted.failure)
    if wanted.since is not None:
        statement = statement.where(ContextRow.recorded_at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(ContextRow.recorded_at < wanted.until)
    return statement


def _among(positions: Sequence[int]) -> Select[Any]:
    return ended_with(_EVENT, "dead").where(_EVENT.position.in_(positions)).order_by(_EVENT.position)


def _letters(connection: Connection, statement: Select[Any]) -> list[DeadLetter]:
    """The letters of a statement on their positions, by ascending position."""
    columns = _EVENT.position.label("event"), ContextRow.position.label("context")
    decided = {row.event: row.context for row in connection.execute(statement.with_only_columns(*columns))}
    events = connection.execute(select_events().where(EventRow.position.in_(decided)).order_by(EventRow.position))
    contexts = select_contexts().where(ContextRow.position.in_(decided.values()))
    by_position = {context.position: context for context in map(context_of, connection.execute(contexts))}
    return [DeadLetter(event, by_position[decided[event.position]]) for event in map(event_of, events)]


def _locked(connection: Connection, positions: Sequence[int]) -> dict[int, str]:
    """Which of these are dead letters, and the subscription that each belongs to.

    Looked at under the locks of the pipelines' subscriptions, so that of two who decide about a letter, one does.
    """
    subscriptions = connection.execute(
        select(SubscriptionRow.__table__)
        .where(SubscriptionRow.route.is_not(None))
        .order_by(SubscriptionRow.name)
        .with_for_update()
    ).all()
    found = {}
    columns = (_EVENT.position, _EVENT.lane, ContextRow.pipeline)
    for position, lane, pipeline in connection.execute(_among(positions).with_only_columns(*columns)):
        for row in subscriptions:
            if row.route == pipeline and lane % row.lanes == row.lane:
                found[position] = row.name
    return found


def _claim(position: int, subscription: str) -> dict[str, Any]:
    return {"subscription": subscription, "first_position": position, "last_position": position}


def _held_claim(connection: Connection, position: int, subscription: str) -> Claim:
    values = {**_claim(position, subscription), "fence": 1, "owner": _OPERATOR, "available_at": DatabaseNow()}
    claim_id = connection.scalar(insert(ClaimRow).values(values).returning(ClaimRow.id))
    assert claim_id is not None
    return Claim(id=claim_id, subscription=subscription, first=position, last=position, attempt=0, deaths=0, fence=1)


def _let_go(connection: Connection, found: Collection[int]) -> None:
    """Let lanes go on that these letters held; also those of a pipeline that their type has left since."""
    held = (SubscriptionRow.route.is_not(None), SubscriptionRow.held.in_(found))
    connection.execute(update(SubscriptionRow).where(*held).values(held=None))
