"""What every keeper of claims promises about leases: heartbeats, what expires, who died."""

from dataclasses import replace

from application.ports.claims import MAX_DEATHS, Claim, Completion, Requeue
from application.subscription import of_pipeline
from tests.factories import NewEventFactory
from tests.stores import Store

ORDERS = of_pipeline("orders", batch=4)
BRIEF = replace(ORDERS, lease=0.05)
PAST_IT = 0.1
"""Seconds after which a brief lease has expired."""


def fill(store: Store, count: int) -> None:
    store.claims.register([ORDERS])
    store.events.append(NewEventFactory.build_batch(count))


def take(store: Store, *, owner: str = "w", brief: bool = False) -> Claim:
    claim = store.claims.take(BRIEF if brief else ORDERS, owner=owner)
    assert claim is not None
    return claim


def nothing_to_take(store: Store) -> bool:
    return store.claims.take(ORDERS, owner="other") is None


def test_a_claim_that_is_held_cannot_be_taken(store: Store):
    fill(store, 1)
    take(store)
    assert nothing_to_take(store)


def test_an_expired_lease_of_one_event_counts_a_death_and_raises_the_fence(store: Store):
    fill(store, 1)
    claims = []
    for _ in range(MAX_DEATHS + 1):
        claims.append(take(store, brief=True))
        store.later(PAST_IT)
    assert {claim.id for claim in claims} == {claims[0].id}
    assert [claim.deaths for claim in claims] == [0, 1, 2, 3]
    assert [claim.fence for claim in claims] == [1, 2, 3, 4]
    assert [claim.attempt for claim in claims] == [0, 0, 0, 0]


def test_a_range_whose_lease_expired_becomes_one_claim_an_event_without_deaths(store: Store):
    store.claims.register([ORDERS])
    store.events.append([NewEventFactory(route=route) for route in ("orders", "x", "orders", "orders")])
    dead = take(store, brief=True)
    store.later(PAST_IT)

    singles = [take(store) for _ in range(3)]

    assert sorted((claim.first, claim.last) for claim in singles) == [(1, 1), (3, 3), (4, 4)]
    assert singles[0].first == 1
    assert all((claim.deaths, claim.attempt, claim.fence) == (0, 0, 1) for claim in singles)
    assert dead.id not in {claim.id for claim in singles}
    assert nothing_to_take(store)


def test_singles_of_a_range_that_was_tried_keep_its_attempt(store: Store):
    fill(store, 2)
    assert store.claims.complete(take(store), Completion(requeues=[Requeue(first=1, last=2, attempt=5)]))
    take(store, brief=True)
    store.later(PAST_IT)
    assert [take(store).attempt for _ in range(2)] == [5, 5]


def test_an_abandoned_claim_is_as_one_whose_worker_died(store: Store):
    fill(store, 2)
    store.claims.abandon(take(store))
    first, second = take(store), take(store)
    assert {(claim.first, claim.last, claim.deaths) for claim in (first, second)} == {(1, 1, 0), (2, 2, 0)}
    store.claims.abandon(first)
    again = take(store)
    assert (again.id, again.deaths, again.fence) == (first.id, 1, 2)


def test_abandoning_a_claim_that_has_passed_to_another_does_nothing(store: Store):
    fill(store, 1)
    old = take(store)
    store.claims.abandon(old)
    take(store)
    store.claims.abandon(old)
    assert nothing_to_take(store)


def test_deaths_survive_a_requeue_and_go_on_from_there(store: Store):
    fill(store, 1)
    store.claims.abandon(take(store))
    died_once = take(store)
    assert store.claims.complete(died_once, Completion(requeues=[Requeue(first=1, last=1, attempt=1)]))
    back = take(store)
    assert (back.attempt, back.deaths) == (1, 1)
    store.claims.abandon(back)
    assert (take(store).deaths, back.fence) == (2, 1)


def test_a_claim_that_waited_for_its_time_has_no_death(store: Store):
    fill(store, 1)
    assert store.claims.complete(take(store), Completion(requeues=[Requeue(first=1, last=1, attempt=1, delay=0.05)]))
    store.later(PAST_IT)
    assert take(store).deaths == 0


def test_a_heartbeat_extends_the_lease(store: Store):
    fill(store, 1)
    claim = take(store, brief=True)
    assert store.claims.heartbeat(claim, lease=60)
    store.later(PAST_IT)
    assert nothing_to_take(store)
    assert store.claims.complete(claim, Completion())


def test_a_heartbeat_counts_the_lease_from_now_also_to_end_it_sooner(store: Store):
    fill(store, 1)
    assert store.claims.heartbeat(take(store), lease=0.01)
    store.later(PAST_IT)
    assert take(store).deaths == 1


def test_a_late_heartbeat_saves_a_claim_that_nobody_took(store: Store):
    fill(store, 1)
    claim = take(store, brief=True)
    store.later(PAST_IT)
    assert store.claims.heartbeat(claim, lease=60)
    assert nothing_to_take(store)


def test_a_heartbeat_fails_once_the_fence_has_passed_or_the_claim_is_gone(store: Store):
    fill(store, 1)
    old = take(store)
    store.claims.abandon(old)
    new = take(store)
    assert not store.claims.heartbeat(old, lease=0.0, progress={"step": "stale"})
    assert nothing_to_take(store)
    [event] = store.events.read(ORDERS.selection, limit=1)
    assert store.states.of([event])[0].progress is None
    assert store.claims.complete(new, Completion())
    assert not store.claims.heartbeat(new, lease=60)


def test_leases_are_ended_by_the_prefix_of_their_owner(store: Store):
    fill(store, 12)
    take(store, owner="host_a/1")
    take(store, owner="hostXa/1")
    take(store, owner="host_a/2")
    assert nothing_to_take(store)
    assert store.claims.end_leases("host_a/") == 2
    assert store.claims.end_leases("nobody") == 0
    freed = sorted(take(store).first for _ in range(8))
    assert freed == [1, 2, 3, 4, 9, 10, 11, 12]
    assert nothing_to_take(store)


def test_ending_leases_leaves_waiting_claims_alone(store: Store):
    fill(store, 1)
    assert store.claims.complete(take(store), Completion(requeues=[Requeue(first=1, last=1, attempt=1, delay=60)]))
    assert store.claims.end_leases("") == 0
    assert nothing_to_take(store)
