"""The invariants of the harnesses see what they are for, also where nothing in the scenarios breaks it yet."""

from collections.abc import Sequence

from application.ports.claims import Completion
from application.subscription import of_pipeline
from infrastructure.memory.search_index import MemorySearchIndex
from tests.factories import NewContextFactory, NewEventFactory
from tests.reliability.invariants import lanes
from tests.reliability.truth import Truth
from tests.stores import of_memory


def truth_of(subjects: Sequence[str], ended: Sequence[int]) -> Truth:
    """Events of these subjects whose contexts were completed in an order of positions."""
    store = of_memory()
    orders = of_pipeline("orders")
    store.claims.register([orders])
    store.events.append([NewEventFactory(subject=subject) for subject in subjects])
    claim = store.claims.take(orders, owner="test")
    assert claim is not None
    contexts = [NewContextFactory(event_position=position) for position in ended]
    assert store.claims.complete(claim, Completion(contexts=contexts))
    return Truth.of(store, MemorySearchIndex())


def test_events_of_a_lane_that_end_out_of_order_are_seen_where_the_pipeline_keeps_lanes() -> None:
    truth = truth_of(("a", "b", "a"), ended=(2, 3, 1))

    assert len(list(lanes(truth, ["orders"]))) == 1
    assert list(lanes(truth, [])) == []


def test_lanes_may_overtake_each_other() -> None:
    assert list(lanes(truth_of(("a", "b", "a"), ended=(2, 1, 3)), ["orders"])) == []
