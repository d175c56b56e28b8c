"""States that are read while a worker works: each answer is of one moment."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event as hooks

from application.ports.claims import Claim, Completion
from application.ports.task_states import EventFilter
from application.subscription import Selection, of_pipeline
from infrastructure.sql.store import SqlStore
from tests.factories import NewContextFactory, NewEventFactory

ORDERS = of_pipeline("orders", batch=2)


@contextmanager
def after_statement(store: SqlStore, number: int, act: Callable[[], object]) -> Iterator[list[int]]:
    """Act from another thread between a reader's statements, once so many of them have run; how many ran."""
    reader, ran = threading.get_ident(), [0]

    def count(*_: Any) -> None:
        if threading.get_ident() != reader:
            return
        ran[0] += 1
        if ran[0] == number:
            thread = threading.Thread(target=act)
            thread.start()
            thread.join(10)

    hooks.listen(store.engine, "after_cursor_execute", count)
    try:
        yield ran
    finally:
        hooks.remove(store.engine, "after_cursor_execute", count)


def take(store: SqlStore) -> Claim:
    claim = store.claims.take(ORDERS, owner="w")
    assert claim is not None
    return claim


def end(store: SqlStore, claim: Claim) -> None:
    contexts = [NewContextFactory(event_position=position) for position in range(claim.first, claim.last + 1)]
    assert store.claims.complete(claim, Completion(contexts=contexts))


@pytest.mark.parametrize("number", range(1, 5))
def test_an_event_that_ends_while_its_state_is_read_is_running_or_has_succeeded(sql_store: SqlStore, number: int):
    sql_store.claims.register([ORDERS])
    sql_store.events.append(NewEventFactory.build_batch(2))
    events = sql_store.events.read(Selection(), limit=2)
    claim = take(sql_store)

    with after_statement(sql_store, number, lambda: end(sql_store, claim)):
        states = sql_store.states.of(events)

    assert {state.status for state in states} in ({"running"}, {"succeeded"})


@pytest.mark.parametrize("number", range(1, 7))
@pytest.mark.parametrize("act", ["take", "end"])
def test_a_listing_by_status_shows_one_moment(sql_store: SqlStore, act: str, number: int):
    sql_store.claims.register([ORDERS])
    sql_store.events.append(NewEventFactory.build_batch(6))
    claim = take(sql_store)
    acts = {"take": lambda: take(sql_store), "end": lambda: end(sql_store, claim)}

    found = {}
    for status in ("queued", "running", "succeeded"):
        with after_statement(sql_store, number if status == "queued" else 0, acts[act]):
            listed = sql_store.states.find(EventFilter(status=status), limit=9)
        assert {each.state.status for each in listed} <= {status}
        found[status] = [each.event.position for each in listed]

    assert found["queued"] in ([6, 5, 4, 3], [6, 5] if act == "take" else [])
