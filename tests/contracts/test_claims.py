"""What every keeper of claims promises about taking them: cursors, bounds, what is due, who holds what."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from application.ports.claims import Claim, Completion, Requeue
from application.subscription import Selection, Subscription, of_pipeline
from tests.factories import EPOCH, NewEventFactory
from tests.stores import Store

ORDERS = of_pipeline("orders", batch=3)


def fill(store: Store, routes: str, **changes) -> None:
    """One event a letter: `o` for the route `orders`, `x` for another, `-` for none, `d` for a due direct one."""
    past = datetime.now(UTC) - timedelta(hours=1)
    kinds = {"o": {}, "x": {"route": "others"}, "-": {"route": None}, "d": {"not_before": past}}
    store.claims.register([ORDERS])
    store.events.append([NewEventFactory(**kinds[letter], **changes) for letter in routes])


def take(store: Store, subscription: Subscription = ORDERS, *, due_first: bool = True) -> tuple[int, int] | None:
    """Take a claim and keep it; its range."""
    claim = store.claims.take(subscription, owner="worker", due_first=due_first)
    return claim and (claim.first, claim.last)


def take_all(store: Store, subscription: Subscription) -> list[tuple[int, int]]:
    taken = []
    while bounds := take(store, subscription):
        taken.append(bounds)
    return taken


def requeue(store: Store, *ranges: tuple[int, int], delay: float = 0.0) -> None:
    """Take the next range behind the cursor and put these rows of it back."""
    claim = store.claims.take(ORDERS, owner="worker", due_first=False)
    assert claim is not None
    requeues = [Requeue(first=first, last=last, attempt=1, delay=delay) for first, last in ranges]
    assert store.claims.complete(claim, Completion(requeues=requeues))


def test_there_is_nothing_to_take_from_an_empty_log(store: Store):
    store.claims.register([ORDERS])
    assert take(store) is None


def test_a_subscription_that_is_not_registered_has_no_claims(store: Store):
    store.events.append([NewEventFactory(), NewEventFactory(not_before=EPOCH)])
    assert take(store) is None
    assert store.claims.backlog(["orders"]) == {}


def test_a_claim_covers_at_most_a_batch_and_the_next_one_follows(store: Store):
    fill(store, "ooooooo")
    assert [take(store) for _ in range(4)] == [(1, 3), (4, 6), (7, 7), None]


def test_a_new_claim_is_of_its_subscription_and_untried(store: Store):
    fill(store, "oooo")
    claim = store.claims.take(ORDERS, owner="worker")
    assert claim == Claim(
        id=claim.id if claim else 0, subscription="orders", first=1, last=3, attempt=0, deaths=0, fence=1, more=True
    )


def test_a_claim_begins_and_ends_with_rows_that_are_selected(store: Store):
    fill(store, "x-oxo-xx")
    assert take(store) == (3, 5)
    assert take(store) is None


def test_a_batch_counts_selected_rows_not_positions(store: Store):
    fill(store, "oxxoxxxoxxo")
    assert [take(store) for _ in range(3)] == [(1, 8), (11, 11), None]


def test_the_cursor_passes_over_what_is_not_selected_and_never_moves_back(store: Store):
    fill(store, "xxxx")
    assert take(store) is None
    assert store.claims.backlog(["orders"])["orders"].cursor == 4
    fill(store, "xo")
    assert take(store) == (6, 6)
    assert take(store) is None
    assert store.claims.backlog(["orders"])["orders"].cursor == 6


def test_a_cursor_that_is_ahead_of_the_log_waits_there(store: Store):
    late = Subscription(name="late", log="events", selection=Selection(after=3))
    store.claims.register([late])
    fill(store, "oo")
    assert take(store, late) is None
    assert store.claims.backlog(["late"])["late"].cursor == 3
    fill(store, "oo")
    assert take_all(store, late) == [(4, 4)]


def test_a_claim_says_whether_it_leaves_work_behind(store: Store):
    fill(store, "oooo")
    more = [claim.more for _ in range(2) if (claim := store.claims.take(ORDERS, owner="w"))]
    assert more == [True, False]


def test_registering_again_does_not_reset_a_cursor(store: Store):
    fill(store, "oooo")
    take(store)
    store.claims.register([ORDERS, of_pipeline("others")])
    assert take(store) == (4, 4)
    assert store.claims.subscriptions() == ["orders", "others"]


def test_the_cursor_of_a_new_subscription_starts_at_its_selections_beginning(store: Store):
    late = Subscription(name="late", log="events", selection=Selection(after=2))
    fill(store, "xxxx")
    store.claims.register([late])
    assert store.claims.backlog(["late"])["late"].cursor == 2
    assert take_all(store, late) == [(3, 4)]


def test_a_direct_event_has_its_own_claim_and_ranges_pass_over_it(store: Store):
    fill(store, "odo")
    claim = store.claims.take(ORDERS, owner="w", due_first=True)
    assert claim is not None
    assert (claim.first, claim.last, claim.attempt, claim.deaths, claim.fence) == (2, 2, 0, 0, 1)
    assert take(store) == (1, 3)
    selection = replace(ORDERS.selection, after=0, last=3)
    assert [event.position for event in store.events.read(selection, limit=9)] == [1, 3]
    assert take(store) is None


def test_a_direct_event_is_not_due_before_its_time(store: Store):
    fill(store, "")
    soon = datetime.now(UTC) + timedelta(hours=1)
    store.events.append([NewEventFactory(not_before=soon), NewEventFactory()])
    assert take_all(store, ORDERS) == [(2, 2)]
    store.later(0.01)
    assert take(store) is None


def test_an_event_with_not_before_and_no_route_has_no_claim(store: Store):
    fill(store, "")
    store.events.append([NewEventFactory(not_before=EPOCH, route=None)])
    assert take(store) is None
    assert store.claims.backlog(["orders"])["orders"].claims == 0


def test_what_is_due_goes_first_or_last_as_asked(store: Store):
    fill(store, "oddoo")
    assert take(store, due_first=False) == (1, 5)
    assert take(store, due_first=False) in {(2, 2), (3, 3)}
    fill(store, "o")
    assert take(store, due_first=True) in {(2, 2), (3, 3)}
    assert take(store, due_first=True) == (6, 6)


def test_in_turn_retries_never_starve_new_work_nor_the_other_way_round(store: Store):
    fill(store, "ooo")
    requeue(store, (1, 1), (2, 2), (3, 3))
    fill(store, "o" * 9)
    taken = [take(store, due_first=bool(turn % 2)) for turn in range(6)]
    assert taken[::2] == [(4, 6), (7, 9), (10, 12)]
    assert sorted(bounds for bounds in taken[1::2] if bounds) == [(1, 1), (2, 2), (3, 3)]


def test_the_claim_that_has_waited_longest_goes_first(store: Store):
    fill(store, "")
    for hours in (2, 3, 1):
        store.events.append([NewEventFactory(not_before=datetime.now(UTC) - timedelta(hours=hours))])
    assert take_all(store, ORDERS) == [(2, 2), (1, 1), (3, 3)]


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(where={"type": "a"}), [(1, 3), (5, 5)]),
        (Selection(where={"route": None}), [(6, 6)]),
        (Selection(where={"type": "a", "route": "orders", "direct": False}), [(1, 3), (5, 5)]),
        (Selection(since=EPOCH + timedelta(hours=2)), [(2, 3), (4, 5), (6, 6)]),
        (Selection(until=EPOCH + timedelta(hours=3)), [(1, 2)]),
        (Selection(since=EPOCH + timedelta(hours=2), until=EPOCH + timedelta(hours=4)), [(2, 3)]),
        (Selection(after=1, last=4), [(2, 3), (4, 4)]),
        (Selection(last=2), [(1, 2)]),
        (Selection(positions=(2, 3, 5, 6)), [(2, 3), (5, 6)]),
        (Selection(positions=(2, 4, 6), last=6), [(2, 4), (6, 6)]),
        (Selection(positions=(1, 2, 3, 4, 5, 6), where={"type": "a"}), [(1, 3), (5, 5)]),
        (Selection(positions=(2, 4, 5, 6), where={"type": "a"}), [(5, 5)]),
    ],
    ids=str,
)
def test_claims_cover_what_a_selection_selects(store: Store, selection: Selection, taken: list[tuple[int, int]]):
    types = ["a", "b", "a", "b", "a", "b"]
    store.events.append(
        [
            NewEventFactory(type=name, route="orders" if hour < 6 else None, time=EPOCH + timedelta(hours=hour))
            for hour, name in enumerate(types, 1)
        ]
    )
    subscription = Subscription(name="chosen", log="events", selection=selection, batch=2)
    store.claims.register([subscription])
    assert take_all(store, subscription) == taken


def test_a_list_of_positions_longer_than_many_batches_is_worked_through(store: Store):
    store.events.append(NewEventFactory.build_batch(25))
    even = Subscription(name="replay-1", log="events", selection=Selection(positions=tuple(range(2, 26, 2))), batch=5)
    store.claims.register([even])
    assert take_all(store, even) == [(2, 10), (12, 20), (22, 24)]


def test_a_rewound_subscription_begins_anew_without_its_old_claims(store: Store):
    fill(store, "ooood")
    requeue(store, (2, 2))
    held = store.claims.take(ORDERS, owner="w", due_first=False)
    assert held is not None
    others = of_pipeline("others")
    store.claims.register([others])

    store.claims.rewind(ORDERS)

    assert not store.claims.complete(held, Completion())
    assert store.claims.backlog(["orders"])["orders"].claims == 0
    assert take_all(store, ORDERS) == [(1, 3), (4, 4)]


def test_a_forgotten_subscription_is_as_if_it_had_never_been(store: Store):
    fill(store, "oooo")
    requeue(store, (1, 2))
    held = store.claims.take(ORDERS, owner="w", due_first=False)
    others = of_pipeline("others")
    store.claims.register([others])
    assert held is not None

    store.claims.forget(["orders", "never-heard-of"])

    assert store.claims.subscriptions() == ["others"]
    assert store.claims.take(ORDERS, owner="w") is None
    assert not store.claims.claimable(ORDERS)
    assert not store.claims.heartbeat(held, lease=30)
    assert not store.claims.complete(held, Completion())
    assert store.claims.ranges("orders") == []
    store.claims.register([ORDERS])
    assert take_all(store, ORDERS) == [(1, 3), (4, 4)]


def test_takers_at_once_never_hold_the_same_row(store: Store):
    fill(store, "ood" * 20)
    with ThreadPoolExecutor(8) as pool:
        claims = list(
            pool.map(
                lambda turn: store.claims.take(replace(ORDERS, batch=4), owner="w", due_first=turn % 2 == 0), range(60)
            )
        )
    direct = {claim.first for claim in claims if claim and claim.first == claim.last}
    ranges = [claim for claim in claims if claim and claim.first != claim.last]
    selected = [position for position in range(1, 61) if position % 3]
    assert direct == set(range(3, 61, 3))
    assert len([claim for claim in claims if claim]) == len(direct) + len(ranges)
    assert (
        sorted(position for claim in ranges for position in range(claim.first, claim.last + 1) if position % 3)
        == selected
    )
    assert len({claim.id for claim in claims if claim}) == len(direct) + len(ranges)
