"""What every keeper of controls promises: pauses, and the adoption of one pipeline's events by another."""

import pytest

from application.ports.claims import Completion, Requeue
from application.subscription import Lane, Subscription, of_pipeline
from domain.errors import NotFound
from tests.factories import EPOCH, NewContextFactory, NewEventFactory
from tests.stores import Store

ORDERS = of_pipeline("orders", batch=2)
SALES = of_pipeline("sales", batch=50)
INDEX = Subscription(name="index", log="task_contexts")


def fill(store: Store, count: int, *subscriptions: Subscription) -> None:
    store.claims.register(subscriptions or [ORDERS, SALES])
    store.events.append(NewEventFactory.build_batch(count))


def take(store: Store, subscription: Subscription):
    return store.claims.take(subscription, owner="w")


def worked(store: Store, subscription: Subscription) -> list[tuple[int, int]]:
    found = []
    while claim := take(store, subscription):
        found.append((claim.first, claim.attempt))
        assert store.claims.complete(claim, Completion())
    return found


def test_a_name_means_the_pipelines_subscriptions_or_the_one_so_called(store: Store):
    lanes = [of_pipeline("sales", lane=Lane(number, 2)) for number in range(2)]
    store.claims.register([ORDERS, INDEX, *lanes])
    assert store.controls.named("orders") == ["orders"]
    assert store.controls.named("sales") == ["sales:1/2", "sales:2/2"]
    assert store.controls.named("sales:2/2") == ["sales:2/2"]
    assert store.controls.named("index") == ["index"]
    assert store.controls.named("nothing") == []


def test_nothing_is_claimed_of_what_is_paused_until_it_is_resumed(store: Store):
    fill(store, 3)
    held = take(store, ORDERS)
    store.controls.pause(["orders"])

    assert take(store, ORDERS) is None
    assert not store.claims.claimable(ORDERS)
    backlog = store.claims.backlog(["orders"])["orders"]
    assert (backlog.paused, backlog.has_due) == (True, False)
    assert store.claims.complete(held, Completion())  # what was claimed is worked to its end

    store.controls.resume(["orders"])
    assert take(store, ORDERS).first == 3


def test_registering_again_resumes_nothing(store: Store):
    fill(store, 1)
    store.controls.pause(["orders"])
    store.claims.register([ORDERS])
    assert take(store, ORDERS) is None


def test_what_has_not_ended_is_adopted_whatever_state_it_is_in(store: Store):
    store.claims.register([ORDERS, SALES])
    store.events.append(NewEventFactory.build_batch(2))
    store.events.append([NewEventFactory(not_before=EPOCH)])
    store.events.append(NewEventFactory.build_batch(3))
    tried = store.claims.take(ORDERS, owner="w", due_first=False)
    done = [NewContextFactory(event_position=1)]
    assert store.claims.complete(tried, Completion(contexts=done, requeues=[Requeue(first=2, last=2, attempt=3)]))
    running = store.claims.take(ORDERS, owner="w", due_first=False)
    assert (running.first, running.last) == (4, 5)

    assert store.controls.adopt("orders", "sales") == 5

    assert not store.claims.complete(running, Completion())
    assert take(store, ORDERS) is None
    assert sorted(worked(store, SALES)) == [(2, 3), (3, 0), (4, 0), (5, 0), (6, 0)]
    assert store.claims.backlog(["orders"])["orders"].claims == 0


def test_adopting_again_adopts_what_came_since(store: Store):
    fill(store, 2)
    assert store.controls.adopt("orders", "sales") == 2
    assert store.controls.adopt("orders", "sales") == 0
    store.events.append(NewEventFactory.build_batch(1))
    assert store.controls.adopt("orders", "sales") == 1
    assert sorted(worked(store, SALES)) == [(1, 0), (2, 0), (3, 0)]


def test_adopted_events_go_into_their_lanes(store: Store):
    lanes = [of_pipeline("sales", lane=Lane(number, 2)) for number in range(2)]
    fill(store, 12, ORDERS, *lanes)
    assert store.controls.adopt("orders", "sales") == 12
    by_lane = [[position for position, _ in worked(store, lane)] for lane in lanes]
    lane_of = {event.position: event.lane % 2 for event in store.events.read(ORDERS.selection, limit=20)}
    assert all(lane_of[position] == number for number, found in enumerate(by_lane) for position in found)
    assert sorted(by_lane[0] + by_lane[1]) == list(range(1, 13))
    assert all(found == sorted(found) for found in by_lane)


def test_the_state_of_an_adopted_event_is_that_of_its_new_claim(store: Store):
    fill(store, 1)
    store.controls.adopt("orders", "sales")
    [event] = store.events.read(ORDERS.selection, limit=1)
    assert store.states.of([event])[0].status == "queued"
    take(store, SALES)
    assert store.states.of([event])[0].status == "running"


@pytest.mark.parametrize("names", [("orders", "nobody"), ("nobody", "orders")])
def test_a_pipeline_that_was_never_loaded_neither_gives_nor_takes(store: Store, names: tuple[str, str]):
    fill(store, 1)
    with pytest.raises(NotFound, match="nobody"):
        store.controls.adopt(*names)
    assert store.claims.backlog(["orders"])["orders"].cursor == 0
