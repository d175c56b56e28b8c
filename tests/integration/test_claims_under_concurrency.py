"""Many workers at once: no row is held twice, a late one meets the fence, no cursor moves back."""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import text

from application.ports.claims import Claim, Completion, Requeue
from application.subscription import Selection, of_pipeline
from infrastructure.sql.store import SqlStore
from tests.concurrency import at_once, rolled_back_append, transaction
from tests.factories import NewContextFactory, NewEventFactory
from tests.stores import opened

ORDERS = of_pipeline("orders", batch=7)
WRITERS = 8


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[SqlStore]:
    with opened(postgres_url) as store:
        yield store


def test_messages_that_are_doubled_lead_to_each_row_worked_once(sql_store: SqlStore):
    """Each ring of the bell is heard by every worker; each takes until there is nothing left."""
    sql_store.claims.register([ORDERS])
    sql_store.events.append(NewEventFactory.build_batch(100))

    def hear(number: int) -> list[int]:
        worked: list[int] = []
        while claim := sql_store.claims.take(ORDERS, owner=f"w{number}", due_first=number % 2 == 0):
            positions = list(range(claim.first, claim.last + 1))
            contexts = [NewContextFactory(event_position=position) for position in positions]
            assert sql_store.claims.complete(claim, Completion(contexts=contexts))
            worked += positions
        return worked

    worked = [position for positions in at_once(6, hear) for position in positions]

    assert sorted(worked) == list(range(1, 101))
    assert [context.position for context in sql_store.contexts.read(Selection(), limit=999)] == list(range(1, 101))
    assert hear(0) == []  # a message that comes late


def test_workers_that_hand_back_die_and_go_on_leave_one_completed_context_an_event(sql_store: SqlStore):
    sql_store.claims.register([ORDERS])
    sql_store.events.append(NewEventFactory.build_batch(60))

    end = time.monotonic() + 30

    def work(number: int) -> None:
        chance = random.Random(number)
        while sql_store.contexts.head() < 60 and time.monotonic() < end:
            claim = sql_store.claims.take(ORDERS, owner=f"w{number}", due_first=chance.random() < 0.5)
            if claim is None:
                time.sleep(0.005)
            elif chance.random() < 0.2:
                sql_store.claims.abandon(claim)
            else:
                cut = chance.randint(claim.first, claim.last + 1)
                contexts = [NewContextFactory(event_position=position) for position in range(claim.first, cut)]
                back = [Requeue(first=cut, last=claim.last, attempt=claim.attempt + 1)] if cut <= claim.last else []
                assert sql_store.claims.complete(claim, Completion(contexts=contexts, requeues=back))

    at_once(4, work)

    found = sql_store.contexts.read(Selection(), limit=999)
    assert sorted(context.event_position for context in found) == list(range(1, 61))
    assert [context.position for context in found] == list(range(1, 61))
    backlog = sql_store.claims.backlog(["orders"])["orders"]
    assert (backlog.claims, backlog.has_due) == (0, False)


def test_a_worker_paused_past_its_lease_is_refused_by_the_fence(sql_store: SqlStore):
    sql_store.claims.register([ORDERS])
    sql_store.events.append([NewEventFactory()])
    brief = replace(ORDERS, lease=0.05)
    resumed = threading.Event()

    def paused(claim: Claim) -> bool:
        resumed.wait(10)
        return sql_store.claims.complete(claim, Completion(contexts=[NewContextFactory(digest="late")]))

    old = sql_store.claims.take(brief, owner="paused")
    assert old is not None
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(paused, old)
        time.sleep(0.1)
        new = sql_store.claims.take(ORDERS, owner="next")
        resumed.set()
        assert not late.result(timeout=10)
    assert new is not None
    assert (new.deaths, new.fence > old.fence) == (1, True)
    assert sql_store.claims.complete(new, Completion(contexts=[NewContextFactory(digest="in time")]))
    assert [context.digest for context in sql_store.contexts.of_event(1)] == ["in time"]


def test_of_two_that_complete_one_claim_at_once_one_does(sql_store: SqlStore):
    sql_store.claims.register([ORDERS])
    sql_store.events.append([NewEventFactory()])
    claim = sql_store.claims.take(ORDERS, owner="w")
    assert claim is not None
    completion = Completion(contexts=[NewContextFactory(status="failed")])
    assert sorted(map(bool, at_once(WRITERS, lambda _: sql_store.claims.complete(claim, completion)))) == [
        *[False] * (WRITERS - 1),
        True,
    ]
    assert sql_store.contexts.head() == 1


@pytest.mark.postgres
def test_a_taker_that_waited_for_the_cursors_lock_never_moves_the_cursor_back(postgres: SqlStore):
    """The waiter decided before the wait; what it reads after it must be what the holder committed."""
    postgres.claims.register([ORDERS])
    postgres.events.append(NewEventFactory.build_batch(30))

    with transaction(postgres) as holder, ThreadPoolExecutor(4) as pool:
        holder.execute(text("UPDATE subscriptions SET cursor = 20 WHERE name = 'orders'"))
        waiting = [pool.submit(postgres.claims.take, ORDERS, owner="w") for _ in range(4)]
        time.sleep(0.3)
        assert not any(taker.done() for taker in waiting)
        postgres.events.append(NewEventFactory.build_batch(5))
        holder.commit()
        claims = [taker.result(timeout=10) for taker in waiting]

    ranges = sorted((claim.first, claim.last) for claim in claims if claim)
    assert ranges == [(21, 27), (28, 34), (35, 35)]
    assert postgres.claims.backlog(["orders"])["orders"].cursor == 35


@pytest.mark.postgres
def test_a_cursor_that_takers_and_slow_appends_fight_over_only_goes_forward(postgres: SqlStore):
    postgres.claims.register([ORDERS])
    done = threading.Event()
    cursors: list[int] = []

    def watch() -> None:
        while not done.is_set():
            cursors.append(postgres.claims.backlog(["orders"])["orders"].cursor)

    def fight(number: int) -> list[tuple[int, int]]:
        chance = random.Random(number)
        taken = []
        for _ in range(12):
            if number % 2:
                with rolled_back_append(postgres):
                    time.sleep(chance.random() * 0.005)
                postgres.events.append(NewEventFactory.build_batch(chance.randint(1, 6)))
            elif claim := postgres.claims.take(ORDERS, owner=f"w{number}"):
                taken.append((claim.first, claim.last))
        return taken

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            taken = [bounds for ranges in at_once(6, fight) for bounds in ranges]
        finally:
            done.set()
        watching.result(timeout=10)
    while claim := postgres.claims.take(ORDERS, owner="last"):
        taken.append((claim.first, claim.last))

    assert cursors == sorted(cursors)
    positions = [position for first, last in taken for position in range(first, last + 1)]
    assert sorted(positions) == list(range(1, postgres.events.head() + 1))
