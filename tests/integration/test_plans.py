"""Plans: a claim reads what it covers and no more, also before PostgreSQL knows anything about the tables."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import event as sqlalchemy_event

from application.ports.claims import Completion
from application.ports.task_states import EventFilter, TaskStatus
from application.subscription import Selection, Subscription, of_pipeline
from infrastructure.sql.store import SqlStore
from tests.factories import NewContextFactory, NewEventFactory
from tests.stores import opened

EVENTS, BATCH = 3000, 50
ORDERS = of_pipeline("orders", batch=BATCH)
INDEXING = Subscription(
    name="index", log="task_contexts", selection=Selection(where={"status": "completed"}), batch=BATCH
)
FOLLOWING = Subscription(
    name="follow-ups",
    log="task_contexts",
    selection=Selection(where={"emits": True, "generation": 0}),
    batch=BATCH,
)


@pytest.fixture
def filled(postgres_url: str) -> Iterator[SqlStore]:
    """A store of events that wait, and of as many contexts, of which one in a hundred asks for events."""
    with opened(postgres_url) as store:
        filling = of_pipeline("filling", batch=EVENTS)
        store.claims.register([ORDERS, INDEXING, FOLLOWING, filling])
        store.events.append(NewEventFactory.build_batch(EVENTS, route="filling"))
        claim = store.claims.take(filling, owner="w")
        contexts = [
            NewContextFactory(event_position=position, emits=position % 100 == 0, context="{}" + " " * 900)
            for position in range(1, EVENTS + 1)
        ]
        assert store.claims.complete(claim, Completion(contexts=contexts))
        store.events.append(NewEventFactory.build_batch(EVENTS))
        yield store


@pytest.mark.parametrize("subscription", [ORDERS, INDEXING, FOLLOWING], ids=lambda each: each.name)
def test_a_claim_is_taken_and_loaded_in_the_order_of_its_log_without_reading_what_else_waits(
    filled: SqlStore, subscription: Subscription
):
    plans: list[str] = []

    def explained(connection, cursor, statement, parameters, *_):
        if "FROM events" in statement or "FROM task_contexts" in statement:
            with connection.connection.cursor() as other:
                plans.extend(row[0] for row in other.execute(f"EXPLAIN (ANALYZE) {statement}", parameters))

    engine = filled.database.engine
    sqlalchemy_event.listen(engine, "before_cursor_execute", explained)
    try:
        claim = filled.claims.take(subscription, owner="w")
        log = filled.events if subscription.log == "events" else filled.contexts
        rows = log.read(replace(subscription.selection, after=claim.first - 1, last=claim.last), limit=BATCH)
    finally:
        sqlalchemy_event.remove(engine, "before_cursor_execute", explained)

    assert len(rows) == (EVENTS // 100 if subscription is FOLLOWING else BATCH)
    assert plans
    assert [line for line in plans if "Sort" in line or "Seq Scan on" in line or "Bitmap" in line] == []
    removed = [int(line.rpartition(" ")[2]) for line in plans if "Rows Removed by Filter" in line]
    assert sum(removed) <= BATCH


LISTED = ["succeeded", "failed", "discarded", "queued", "running", "retrying", "unrouted"]


@pytest.mark.parametrize("status", LISTED)
def test_a_page_of_a_status_is_looked_for_from_the_small_side_on_sqlite(sqlite_url: str, status: TaskStatus):
    plans: list[str] = []

    def explained(connection, cursor, statement, parameters, *_):
        if "events" in statement and "LIMIT" in statement:
            rows = connection.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(row[3] for row in rows)

    with opened(sqlite_url) as store:
        store.claims.register([ORDERS, INDEXING, FOLLOWING])
        engine = store.database.engine
        sqlalchemy_event.listen(engine, "before_cursor_execute", explained)
        try:
            store.states.find(EventFilter(status=status), limit=50)
        finally:
            sqlalchemy_event.remove(engine, "before_cursor_execute", explained)

    assert plans
    # All events, or all that succeeded before the page is cut from them.
    assert [line for line in plans if line.startswith("SCAN events")] == []
    assert status != "succeeded" or [line for line in plans if "TEMP B-TREE" in line] == []
