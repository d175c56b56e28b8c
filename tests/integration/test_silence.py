"""Servers that keep the line open and say nothing, as where a network is cut in two: nobody waits for over 30 s."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from application.ports.search_index import SearchQuery
from application.subscription import Selection
from domain.errors import Unavailable
from infrastructure.elasticsearch.search_index import ElasticsearchSearchIndex
from infrastructure.sql.store import SqlStore
from tests.factories import NewEventFactory
from tests.servers import Door

MOST_SECONDS = 30.0
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def far(postgres_url: str) -> Iterator[tuple[Door, SqlStore]]:
    """A store on PostgreSQL behind an open door."""
    with Door.before(postgres_url) as (door, url):
        door.open()
        store = SqlStore(url)
        yield door, store
        door.shut()
        store.close()


def unanswered(call: Callable[[], object]) -> float:
    """How long a call waits before it says that it is in vain."""
    began = time.monotonic()
    with pytest.raises(Unavailable):
        call()
    return time.monotonic() - began


@pytest.mark.postgres
def test_a_silent_database_is_given_up_and_used_again_when_it_speaks(far: tuple[Door, SqlStore]) -> None:
    door, store = far
    store.events.append([NewEventFactory()])
    calls: list[Callable[[], object]] = [
        lambda: store.events.append([NewEventFactory()]),
        lambda: store.events.read(Selection(), limit=10),
        store.claims.subscriptions,
        store.replays.list,
    ]
    waits: list[float] = []
    threads = [threading.Thread(target=lambda call=call: waits.append(unanswered(call))) for call in calls]

    door.silence()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    door.speak()

    assert len(waits) == len(calls)
    assert max(waits) < MOST_SECONDS
    assert store.events.head() >= 1


@pytest.mark.postgres
def test_a_database_that_falls_silent_within_a_transaction_is_given_up(far: tuple[Door, SqlStore]) -> None:
    door, store = far

    def transaction() -> None:
        with store.database.writing() as connection:
            connection.exec_driver_sql("SELECT 1")
            door.silence()
            connection.exec_driver_sql("SELECT 2")

    assert unanswered(transaction) < MOST_SECONDS


@pytest.mark.elasticsearch
def test_a_silent_search_is_given_up(elasticsearch_url: str) -> None:
    with Door.before(elasticsearch_url) as (door, url):
        door.open()
        index = ElasticsearchSearchIndex.at(url, alias="test-silence")
        door.silence()

        assert unanswered(lambda: index.search(SearchQuery(q="x"))) < MOST_SECONDS
        assert unanswered(lambda: index.open({})) < MOST_SECONDS
