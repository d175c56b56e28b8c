"""The databases themselves refuse to change a log, whoever asks."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from application.ports.audit import NewAuditEntry
from application.ports.claims import Completion
from application.ports.effect_ledger import NewEntry
from application.ports.promotions import View
from application.subscription import Selection, of_pipeline
from domain.fingerprints import PipelineCode
from domain.seals import GENESIS, seal_of
from infrastructure.sql.store import SqlStore
from tests.factories import NewContextFactory, NewEventFactory, event_id

ORDERS = of_pipeline("orders")
CODE = PipelineCode(pipeline="orders", parts={})
TABLES = {
    "events": "position",
    "task_contexts": "position",
    "replays": "id",
    "replay_decisions": "id",
    "pipeline_codes": "fingerprint",
    "effect_ledger": "position",
    "endpoints": "position",
    "seals": "log",
    "restores": "id",
    "audit": "position",
    "promotions": "id",
}
"""The append-only tables, each with a column of its key."""


@pytest.fixture
def filled(sql_store: SqlStore) -> SqlStore:
    """At least one row in every table that is append-only."""
    sql_store.claims.register([ORDERS])
    sql_store.events.append(NewEventFactory.build_batch(2))
    claim = sql_store.claims.take(ORDERS, owner="w")
    assert claim is not None
    contexts = [NewContextFactory(event_position=position) for position in (1, 2)]
    assert sql_store.claims.complete(claim, Completion(contexts=contexts))
    sql_store.replays.create(Selection(), {}, 2)
    sql_store.promotions.append(View(id=1, promoted=(1,), action="promote", generation=1))
    sql_store.replays.decide(1, "effects", "skip")
    sql_store.codes.register([CODE])
    sql_store.ledger.write(
        NewEntry(
            effect_id=event_id(1), context_position=1, event_id=event_id(2), kind="email", target="a@b.c", attempt=1,
            phase="intent",
        )
    )  # fmt: skip
    sql_store.ledger.switch("https://example.org/", enabled=False, reason="r")
    sql_store.seals.append(seal_of(log="events", log_id=event_id(1), first=1, digests=[GENESIS], previous=GENESIS))
    sql_store.log_ids.renew({"events": event_id(2)})
    sql_store.audit.record(NewAuditEntry(actor="cli:somebody", action="replay.plan"))
    return sql_store


def contents(store: SqlStore) -> list[object]:
    return [
        store.events.read(Selection(), limit=9),
        store.contexts.read(Selection(), limit=9),
        store.replays.list(),
        store.replays.decided(1),
        store.codes.find([CODE.fingerprint]),
        store.ledger.of_contexts([1]),
        store.ledger.is_disabled("https://example.org/"),
        store.seals.read("events", after=0, limit=9),
        store.log_ids.restores("events"),
        store.audit.read(),
        store.promotions.list(),
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET data = '{}'",
        "UPDATE events SET data = data WHERE position = 1",
        "DELETE FROM events WHERE position = 2",
        "UPDATE task_contexts SET status = 'dead'",
        "DELETE FROM task_contexts",
        "UPDATE replays SET count = 0",
        "DELETE FROM replays",
        "UPDATE replay_decisions SET value = 'live'",
        "DELETE FROM replay_decisions",
        "UPDATE pipeline_codes SET code = '{}'",
        "DELETE FROM pipeline_codes",
        "UPDATE effect_ledger SET phase = 'done'",
        "DELETE FROM effect_ledger",
        "UPDATE endpoints SET enabled = NOT enabled",
        "DELETE FROM endpoints",
        "UPDATE seals SET last_position = 3",
        "DELETE FROM seals",
        "UPDATE restores SET sealed = 0",
        "DELETE FROM restores",
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "UPDATE promotions SET generation = 0",
        "DELETE FROM promotions",
    ],
)
def test_the_database_refuses_to_change_or_remove_a_row_of_a_log(filled: SqlStore, statement: str):
    before = contents(filled)
    with filled.engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text(statement))
    assert contents(filled) == before


@pytest.mark.parametrize("table", TABLES)
def test_the_database_refuses_to_empty_a_log(filled: SqlStore, table: str):
    """SQLite has no TRUNCATE: there a DELETE without a condition is what would be optimised to one."""
    before = contents(filled)
    statement = f"TRUNCATE {table} CASCADE" if filled.database.is_postgres else f"DELETE FROM {table}"
    with filled.engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text(statement))
    assert contents(filled) == before


@pytest.mark.parametrize("table", TABLES)
def test_the_database_refuses_to_replace_a_row_of_a_log(filled: SqlStore, table: str):
    before = contents(filled)
    key = "log, first_position" if table == "seals" else TABLES[table]
    if filled.database.is_postgres:
        change = f"{TABLES[table]} = excluded.{TABLES[table]}"
        replace = f"INSERT INTO {table} SELECT * FROM {table} ON CONFLICT ({key}) DO UPDATE SET {change}"
    else:
        replace = f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}"
    with filled.engine.connect() as connection, pytest.raises(DBAPIError):
        connection.execute(text(replace))
    assert contents(filled) == before


@pytest.mark.postgres
def test_a_session_that_replays_as_a_replica_is_refused_too(postgres_url: str):
    store = SqlStore(postgres_url)
    try:
        store.events.append([NewEventFactory()])
        with store.engine.connect() as connection:
            modes = connection.execute(
                text("SELECT tgrelid::regclass::text, tgenabled FROM pg_trigger WHERE tgname LIKE '%append_only'")
            ).all()
        assert sorted(map(tuple, modes)) == sorted((table, "A") for table in TABLES)
    finally:
        store.close()
