"""What every keeper of promotions promises: the last view holds, and states are those of the view."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from application.ports.claims import Claim, Completion
from application.ports.promotions import View, ranks_of
from application.ports.task_states import EventFilter
from application.subscription import Selection, Subscription, of_pipeline
from tests.factories import NewContextFactory, NewEventFactory
from tests.stores import Store

ORDERS = of_pipeline("orders", batch=10)
FIRST = View(id=1, promoted=(3,), action="promote", generation=3)


def promote(store: Store, *promoted: int) -> None:
    after = store.promotions.current()
    assert store.promotions.append(View(id=after.id + 1, promoted=promoted, action="promote", generation=promoted[0]))


def test_at_first_the_live_results_hold(store: Store):
    assert store.promotions.current() == View()
    assert store.promotions.list() == []


def test_the_last_view_holds_and_all_are_kept(store: Store):
    kept = store.promotions.append(FIRST)
    assert kept is not None
    assert kept.at is not None
    assert abs(kept.at - datetime.now(UTC)) < timedelta(minutes=5)
    assert (kept.promoted, kept.action, kept.generation) == ((3,), "promote", 3)
    back = store.promotions.append(View(id=2, promoted=(), action="rollback", generation=3))
    assert store.promotions.current() == back
    assert store.promotions.list() == [back, kept]


def test_a_view_that_does_not_follow_the_one_that_holds_is_not_taken(store: Store):
    store.promotions.append(FIRST)
    for number in (0, 1, 3):
        assert store.promotions.append(View(id=number, promoted=(9,), action="promote", generation=9)) is None
    assert store.promotions.current().promoted == (3,)


def test_of_many_that_promote_at_once_one_does(store: Store):
    views = [View(id=1, promoted=(n,), action="promote", generation=n) for n in range(1, 9)]
    with ThreadPoolExecutor(8) as threads:
        taken = list(filter(None, threads.map(store.promotions.append, views)))
    assert len(taken) == 1
    assert store.promotions.list() == taken


def test_generations_have_ranks_of_which_the_newest_promoted_is_the_highest():
    assert ranks_of((7, 2)) == {0: 0, 2: 1, 7: 2}
    assert View().ranks == {0: 0}


def generation(store: Store, number: int, *ended: tuple[int, str]) -> None:
    """Contexts of a replay: event position and status."""
    subscription = Subscription(name=f"replay-{number}", log="events", selection=Selection(), batch=10)
    store.claims.register([subscription])
    complete(store, store.claims.take(subscription, owner="w"), number, *ended)


def complete(store: Store, claim: Claim | None, number: int, *ended: tuple[int, str]) -> None:
    assert claim is not None
    contexts = [NewContextFactory(event_position=at, status=status, generation=number) for at, status in ended]
    assert store.claims.complete(claim, Completion(contexts=contexts))


@pytest.fixture
def replayed(store: Store) -> Store:
    """Event 1 is completed, 2 dead, 3 queued, 4 unrouted. Replay 1 completed them all, replay 2 the first alone."""
    store.claims.register([ORDERS])
    store.events.append([NewEventFactory() for _ in range(2)])
    complete(store, store.claims.take(ORDERS, owner="w"), 0, (1, "completed"), (2, "dead"))
    store.events.append([NewEventFactory(), NewEventFactory(route=None)])
    generation(store, 1, *((at, "completed") for at in (1, 2, 3, 4)))
    generation(store, 2, (1, "completed"), (2, "dead"))
    return store


def states(store: Store) -> list[tuple[str, int | None]]:
    """Status and deciding context of each event, after a look that its status finds it and no other does."""
    events = store.events.read(Selection(), limit=10)
    found = store.states.of(events)
    for status in ("succeeded", "failed", "queued", "unrouted", "running", "retrying", "discarded"):
        listed = [each.event.position for each in store.states.find(EventFilter(status=status), after=0, limit=10)]
        assert listed == [event.position for event, state in zip(events, found, strict=True) if state.status == status]
    return [(state.status, state.context_position) for state in found]


def test_what_replays_made_is_no_result_before_it_is_promoted(replayed: Store):
    assert states(replayed) == [("succeeded", 1), ("failed", 2), ("queued", None), ("unrouted", None)]


def test_the_result_is_that_of_the_newest_promoted_generation_that_has_one(replayed: Store):
    promote(replayed, 1)
    assert states(replayed) == [("succeeded", 3), ("succeeded", 4), ("succeeded", 5), ("succeeded", 6)]
    promote(replayed, 2, 1)
    assert states(replayed) == [("succeeded", 7), ("succeeded", 4), ("succeeded", 5), ("succeeded", 6)]
    promote(replayed, 2)
    assert states(replayed) == [("succeeded", 7), ("failed", 2), ("queued", None), ("unrouted", None)]


def test_a_page_of_results_has_no_event_twice(replayed: Store):
    promote(replayed, 2, 1)
    found = replayed.states.find(EventFilter(status="succeeded"), limit=3)
    assert [each.event.position for each in found] == [4, 3, 2]
    rest = replayed.states.find(EventFilter(status="succeeded"), before=2, limit=3)
    assert [each.event.position for each in rest] == [1]


def test_a_dead_letter_stays_one_for_operators_whatever_is_promoted(replayed: Store):
    promote(replayed, 1)
    assert replayed.dead_letters.requeue([2]) == [2]
