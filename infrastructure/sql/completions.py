"""Completions on SQL: a claim ends, contexts are appended, rows go back, in one commit."""

from operator import attrgetter
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection, delete, insert, update

from application.ports.claims import Claim, Completion
from infrastructure.sql.arrays import Arrays
from infrastructure.sql.context_log import append_contexts
from infrastructure.sql.engine import DatabaseNow
from infrastructure.sql.models import ClaimRow, SubscriptionRow


def held(statement: Any, claim: Claim) -> Any:
    """Narrow a statement on claims to this very taking of this one."""
    return statement.where(ClaimRow.id == claim.id, ClaimRow.fence == claim.fence)


def complete_on_sqlite(connection: Connection, claim: Claim, completion: Completion) -> bool:
    """Complete a claim inside a writing transaction; see `Claims.complete`."""
    gone = connection.execute(held(delete(ClaimRow), claim).returning(ClaimRow.deaths)).one_or_none()
    if gone is None:
        return False
    for requeue in completion.requeues:
        connection.execute(
            insert(ClaimRow).values(
                subscription=claim.subscription,
                first_position=requeue.first,
                last_position=requeue.last,
                attempt=requeue.attempt,
                deaths=gone.deaths,
                available_at=DatabaseNow(requeue.delay),
            )
        )
    if completion.hold is not None:
        row = SubscriptionRow.name == claim.subscription
        connection.execute(update(SubscriptionRow).where(row).values(held=completion.hold))
    append_contexts(connection, completion.contexts)
    return True


_TYPES = {
    "event_position": "bigint",
    "pipeline": "text",
    "generation": "integer",
    "status": "text",
    "context": "text",
    "digest": "text",
    "fingerprint": "text",
    "emits": "boolean",
    "failure": "text",
    "calls": "boolean",
}
_ARRAYS = Arrays({name: (type_, attrgetter(name)) for name, type_ in _TYPES.items()})
_COMPLETE = f"SELECT complete_claim(%(id)s, %(fence)s, %(requeues)s::json, %(hold)s, {_ARRAYS.places})"


def complete_on_postgres(connection: Connection, claim: Claim, completion: Completion) -> bool:
    """Complete a claim by one call; see `Claims.complete`."""
    requeues = [
        {"first": requeue.first, "last": requeue.last, "attempt": requeue.attempt, "delay": requeue.delay}
        for requeue in completion.requeues
    ]
    parameters = {
        "id": claim.id,
        "fence": claim.fence,
        "requeues": to_json(requeues).decode(),
        "hold": completion.hold,
    }
    return bool(connection.exec_driver_sql(_COMPLETE, parameters | _ARRAYS.of(completion.contexts)).scalar_one())
