"""Completions on SQL: a claim ends, contexts are appended, rows go back, in one commit."""

from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection, delete, insert, text, update

from application.ports.claims import Claim, Completion
from infrastructure.sql.context_log import append_contexts, context_members
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


_COMPLETE = text("SELECT complete_claim(:id, :fence, CAST(:contexts AS json), CAST(:requeues AS json), :hold)")


def complete_on_postgres(connection: Connection, claim: Claim, completion: Completion) -> bool:
    """Complete a claim by one call; see `Claims.complete`."""
    contexts = [
        {"ordinal": ordinal, **context_members(context)} for ordinal, context in enumerate(completion.contexts, 1)
    ]
    requeues = [
        {"first": requeue.first, "last": requeue.last, "attempt": requeue.attempt, "delay": requeue.delay}
        for requeue in completion.requeues
    ]
    parameters = {
        "id": claim.id,
        "fence": claim.fence,
        "contexts": to_json(contexts).decode(),
        "requeues": to_json(requeues).decode(),
        "hold": completion.hold,
    }
    return bool(connection.scalar(_COMPLETE, parameters))
