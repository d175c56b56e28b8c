"""What every event log promises about shapes: each type and version with its count, and a sample from all over it."""

import pytest

from application.ports.event_log import Shape
from tests.factories import NewEventFactory
from tests.stores import Store


def append(store: Store, count: int, **changes) -> None:
    store.events.append([NewEventFactory(**changes) for _ in range(count)])


def sampled(store: Store, shape: Shape, limit: int) -> list[int]:
    return [event.position for event in store.events.sample(shape, limit=limit)]


def test_an_empty_log_has_no_shape(store: Store):
    assert store.events.shapes() == []


def test_shapes_are_counted_by_type_and_version(store: Store):
    append(store, 2, type="b")
    append(store, 3, type="a", schema_version=2)
    append(store, 1, type="a")

    assert store.events.shapes() == [
        Shape(type="a", schema_version=1, count=1),
        Shape(type="a", schema_version=2, count=3),
        Shape(type="b", schema_version=1, count=2),
    ]


@pytest.mark.parametrize(("count", "limit", "expected"), [
    (1, 2, [0]),
    (2, 2, [0, 1]),
    (3, 2, [0, 2]),
    (3, 5, [0, 1, 2]),
    (9, 3, [0, 4, 8]),
    (10, 4, [0, 3, 6, 9]),
    (11, 4, [0, 4, 7, 10]),
])  # fmt: skip
def test_a_sample_is_spread_over_the_log_from_the_first_event_to_the_last(
    store: Store, count: int, limit: int, expected: list[int]
):
    append(store, 2, type="other")
    for _ in range(count):  # between events of other shapes, so that ranks are no positions
        append(store, 1, type="a", schema_version=2)
        append(store, 1, type="a", schema_version=1)
        append(store, 1, type="other", schema_version=2)
    shape = Shape(type="a", schema_version=2, count=count)
    assert shape in store.events.shapes()

    positions = [3 + 3 * rank for rank in range(count)]
    assert sampled(store, shape, limit) == [positions[rank] for rank in expected]


@pytest.mark.parametrize("count", [1, 7, 100, 101, 499])
def test_a_sample_has_as_many_as_were_asked_for_where_there_are_so_many(count: int):
    shape = Shape(type="a", schema_version=1, count=count)
    for limit in (2, 3, 50, 100):
        ranks = [rank for rank in range(count) if shape.samples(rank, limit)]
        assert len(ranks) == min(count, limit)
        assert (ranks[0], ranks[-1]) == (0, count - 1)


def test_what_was_appended_since_the_count_is_not_in_the_sample(store: Store):
    append(store, 5)
    [shape] = store.events.shapes()
    append(store, 5)

    assert sampled(store, shape, 3) == [1, 3, 5]


def test_events_are_sampled_whole(store: Store):
    append(store, 3)
    [shape] = store.events.shapes()

    assert store.events.sample(shape, limit=2) == [
        event for event in (store.events.get(event.id) for event in store.events.sample(shape, limit=2)) if event
    ]
