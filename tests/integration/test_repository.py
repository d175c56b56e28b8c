"""GenericRepository on both databases: create, get, list, stream; and no way to change what is append-only."""

from datetime import UTC, datetime

import pytest
from sqlalchemy.orm import Session

from domain.errors import KeyReused
from infrastructure.sql.event_log import EventRepository
from infrastructure.sql.models import ReplayRow, SubscriptionRow
from infrastructure.sql.repository import GenericRepository
from infrastructure.sql.store import SqlStore
from tests.factories import NewEventFactory


def test_created_rows_are_read_back_by_key_in_order_and_as_a_stream(sql_store: SqlStore) -> None:
    with sql_store.database.writing() as connection, Session(connection) as session:
        repository = GenericRepository(session, SubscriptionRow)
        repository.create_many([SubscriptionRow(name=name, log="events", cursor=0) for name in ("b", "a", "c")])

        assert repository.get("b").log == "events"
        assert repository.get("d") is None
        assert [row.name for row in repository.list(limit=2)] == ["a", "b"]
        assert [row.name for row in repository.list(after="a")] == ["b", "c"]
        assert [row.name for row in repository.stream(SubscriptionRow.name != "b", page=1)] == ["a", "c"]


def test_an_event_is_created_by_appending_it(sql_store: SqlStore) -> None:
    database = sql_store.database
    with database.calling() if database.is_postgres else database.writing() as connection:
        repository = EventRepository(Session(connection))
        row = repository.create(NewEventFactory(data='{"n": 1e2}', key="k", source="s", subject="x"))
        again = repository.create(NewEventFactory(data='{"n": 1e2}', key="k", source="s", subject="x"))
        with pytest.raises(KeyReused):
            repository.create(NewEventFactory(data='{"n": 100}', key="k", source="s"))

    assert (row.position, row.data) == (1, '{"n": 1e2}')
    assert again.id == row.id
    assert sql_store.events.head() == 1


def test_many_events_are_created_in_order_or_not_at_all(sql_store: SqlStore) -> None:
    database = sql_store.database
    with database.calling() if database.is_postgres else database.writing() as connection:
        repository = EventRepository(Session(connection))
        rows = repository.create_many([NewEventFactory(key="a", source=""), NewEventFactory()])
        with pytest.raises(KeyReused):
            repository.create_many([NewEventFactory(), NewEventFactory(key="a", source="", data='"other"')])

    assert [row.position for row in rows] == [1, 2]
    assert sql_store.events.head() == 2


def test_a_repository_offers_no_update_and_no_delete(sql_store: SqlStore) -> None:
    with sql_store.database.reading() as connection, Session(connection) as session:
        offered = {name for name in dir(GenericRepository(session, ReplayRow)) if not name.startswith("_")}

    assert offered == {"create", "create_many", "get", "list", "model", "session", "stream"}


def test_a_plan_of_a_replay_keeps_its_selection(sql_store: SqlStore) -> None:
    from application.subscription import Selection

    selection = Selection(where={"type": "a"}, since=datetime(2026, 1, 2, tzinfo=UTC), after=3, last=9)

    replay = sql_store.replays.create(selection, {"flights": "abc"}, 4)

    assert sql_store.replays.get(replay.id) == replay
    assert replay.selection == selection
