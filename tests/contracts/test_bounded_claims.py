"""What every keeper of claims promises where a subscription has bounds: lanes in order, holds, `max_claims`."""

from dataclasses import replace

import pytest

from application.ports.claims import Claim, Completion, Requeue
from application.subscription import Lane, Subscription, of_pipeline
from domain.errors import Misconfigured
from tests.factories import NewContextFactory, NewEventFactory
from tests.stores import Store

LANE = of_pipeline("orders", lane=Lane(0, 1), batch=3, hold=True)
BRIEF = replace(LANE, lease=0.05)
PAST_IT = 0.1


def fill(store: Store, count: int, *subscriptions: Subscription, **changes: str) -> None:
    store.claims.register(subscriptions or [LANE])
    store.events.append(NewEventFactory.build_batch(count, **changes))


def take(store: Store, subscription: Subscription = LANE, owner: str = "w") -> Claim | None:
    return store.claims.take(subscription, owner=owner)


def taken(store: Store, subscription: Subscription = LANE, owner: str = "w") -> Claim:
    claim = take(store, subscription, owner)
    assert claim is not None
    return claim


def bounds(claim: Claim | None) -> tuple[int, int] | None:
    return claim and (claim.first, claim.last)


def test_in_order_nothing_is_taken_while_a_claim_is_held(store: Store):
    fill(store, 5)
    first = taken(store)
    assert bounds(first) == (1, 3)
    assert take(store) is None
    assert not store.claims.claimable(LANE)
    assert store.claims.complete(first, Completion())
    assert bounds(take(store)) == (4, 5)


def test_in_order_what_goes_back_stands_before_what_follows(store: Store):
    fill(store, 5)
    back = [Requeue(first=2, last=2, attempt=1, delay=0.05), Requeue(first=3, last=3, attempt=0)]
    assert store.claims.complete(taken(store), Completion(requeues=back))

    assert take(store) is None  # the third is due, but the second is before it

    store.later(PAST_IT)
    second = taken(store)
    assert (second.first, second.attempt) == (2, 1)
    assert take(store) is None
    assert store.claims.complete(second, Completion())
    third = taken(store)
    assert (third.first, third.attempt) == (3, 0)
    assert store.claims.complete(third, Completion())
    assert bounds(take(store)) == (4, 5)


def test_in_order_a_range_whose_worker_died_is_gone_through_one_by_one(store: Store):
    fill(store, 4)
    taken(store, BRIEF)
    store.later(PAST_IT)
    for position in (1, 2, 3):
        single = taken(store)
        assert bounds(single) == (position, position)
        assert take(store) is None
        assert store.claims.complete(single, Completion())
    assert bounds(take(store)) == (4, 4)


def test_a_lane_has_the_events_of_its_subjects_and_no_others(store: Store):
    lanes = [of_pipeline("orders", lane=Lane(number, 3), batch=50) for number in range(3)]
    subjects = [f"subject-{number % 7}" for number in range(40)]
    store.claims.register(lanes)
    store.events.append([NewEventFactory(subject=subject) for subject in subjects])
    found: dict[int, set[str]] = {}
    for number, lane in enumerate(lanes):
        claim = taken(store, lane)
        selection = replace(lane.selection, after=claim.first - 1, last=claim.last)
        found[number] = {event.subject for event in store.events.read(selection, limit=50)}
    assert set().union(*found.values()) == set(subjects)
    assert sum(map(len, found.values())) == 7


def test_a_dead_letter_may_hold_its_lane(store: Store):
    fill(store, 5)
    dead = Completion(
        contexts=[NewContextFactory(status="dead")], requeues=[Requeue(first=2, last=3, attempt=0)], hold=1
    )
    assert store.claims.complete(taken(store), dead)

    assert take(store) is None
    assert not store.claims.claimable(LANE)
    backlog = store.claims.backlog([LANE.name])[LANE.name]
    assert (backlog.held, backlog.has_due) == (1, False)


def test_a_completion_that_was_fenced_holds_nothing(store: Store):
    fill(store, 1)
    lost = taken(store, BRIEF)
    store.later(PAST_IT)
    taken(store)
    assert not store.claims.complete(lost, Completion(hold=1))
    assert store.claims.backlog([LANE.name])[LANE.name].held is None


def test_at_most_so_many_claims_are_held_whatever_kind_they_are(store: Store):
    two = of_pipeline("orders", batch=1, max_claims=2)
    fill(store, 4, two)
    first, second = taken(store, two), taken(store, two, owner="other")
    assert take(store, two) is None
    assert not store.claims.claimable(two)
    back = Requeue(first=1, last=1, attempt=1)
    assert store.claims.complete(first, Completion(requeues=[back]))
    assert taken(store, two).attempt == 1  # due, and one of the two again
    assert take(store, two) is None
    assert store.claims.complete(second, Completion())
    assert bounds(take(store, two)) == (3, 3)


def test_a_lost_lease_does_not_count_as_held(store: Store):
    one = of_pipeline("orders", batch=1, max_claims=1, lease=0.05)
    fill(store, 2, one)
    taken(store, one)
    assert take(store, one) is None
    store.later(PAST_IT)
    assert taken(store, one).deaths == 1


def test_what_is_released_is_due_at_once_uncounted_and_its_holder_is_fenced(store: Store):
    fill(store, 3)
    mine = taken(store, owner="worker-a-1")
    assert store.claims.release("worker-a") == 0
    assert store.claims.release("worker-a-1") == 1
    again = taken(store)
    assert (bounds(again), again.deaths, again.attempt) == ((1, 3), 0, 0)
    assert not store.claims.complete(mine, Completion())


def test_other_lanes_take_over_where_the_old_ones_ended(store: Store):
    fill(store, 3)
    assert store.claims.complete(taken(store), Completion())
    assert take(store) is None  # its cursor reaches the head
    lanes = [of_pipeline("orders", lane=Lane(number, 2)) for number in range(2)]

    store.claims.register(lanes)

    store.events.append(NewEventFactory.build_batch(8))
    assert take(store) is None  # who still works the old lane finds nothing
    positions = [
        event.position
        for lane in lanes
        if (claim := take(store, lane))
        for event in store.events.read(replace(lane.selection, after=claim.first - 1, last=claim.last), limit=50)
    ]
    assert sorted(positions) == list(range(4, 12))


@pytest.mark.parametrize("claimed", [False, True])
def test_other_lanes_wait_until_the_events_of_the_old_ones_have_ended(store: Store, *, claimed: bool):
    fill(store, 2)
    if claimed:
        taken(store)
    with pytest.raises(Misconfigured, match="other lanes"):
        store.claims.register([of_pipeline("orders")])
    assert store.claims.subscriptions() == [LANE.name]
