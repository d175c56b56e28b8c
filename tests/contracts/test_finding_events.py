"""What every reader of states promises about finding events: by each filter, a page at a time, both ways."""

from datetime import timedelta

import pytest

from application.ports.claims import Completion
from application.ports.task_states import EventFilter, TaskStatus
from application.subscription import of_pipeline
from domain.events import RecordedEvent
from tests.factories import EPOCH, NewContextFactory, NewEventFactory
from tests.stores import Store

ORDERS = of_pipeline("orders", batch=1)


def append(store: Store, **changes) -> RecordedEvent:
    store.claims.register([ORDERS])
    event = NewEventFactory(**changes)
    store.events.append([event])
    found = store.events.get(event.id)
    assert found is not None
    return found


def end(store: Store, position: int, status: str) -> None:
    claim = store.claims.take(ORDERS, owner="w")
    assert claim is not None
    context = NewContextFactory(event_position=position, status=status)
    assert store.claims.complete(claim, Completion(contexts=[context]))


def test_events_are_found_by_each_filter_and_by_all_together(store: Store):
    for number in range(8):
        append(store, type="ab"[number % 2], subject=f"s{number % 4}", time=EPOCH + timedelta(hours=number))

    def found(**wanted) -> list[int]:
        return [each.event.position for each in store.states.find(EventFilter(**wanted), limit=99)]

    assert found() == [8, 7, 6, 5, 4, 3, 2, 1]
    assert found(type="a") == [7, 5, 3, 1]
    assert found(subject="s3") == [8, 4]
    assert found(since=EPOCH + timedelta(hours=5)) == [8, 7, 6]
    assert found(until=EPOCH + timedelta(hours=2)) == [2, 1]
    assert found(status="queued") == found()
    assert found(type="a", subject="s0", since=EPOCH, until=EPOCH + timedelta(hours=3), status="queued") == [1]
    assert found(type="a", subject="s1") == found(type="c") == found(status="running") == []


def test_the_subject_that_is_asked_for_may_be_the_empty_one(store: Store):
    event = append(store, subject="")
    append(store)
    assert [each.event for each in store.states.find(EventFilter(subject=""), limit=9)] == [event]


@pytest.mark.parametrize("status", [None, "queued", "succeeded", "failed"])
def test_pages_go_backward_from_a_position_and_forward_after_one(store: Store, status: TaskStatus | None):
    endings = {"succeeded": "completed", "failed": "dead"}
    for position in range(1, 8):
        append(store)
        if status in endings:
            end(store, position, endings[status])

    def page(limit: int = 3, **bounds: int) -> list[int]:
        return [each.event.position for each in store.states.find(EventFilter(status=status), limit=limit, **bounds)]

    assert [page(), page(before=5), page(before=2), page(before=1)] == [[7, 6, 5], [4, 3, 2], [1], []]
    assert [page(after=0), page(after=3), page(after=6), page(after=7)] == [[1, 2, 3], [4, 5, 6], [7], []]


def test_no_event_behind_the_last_that_is_wanted_is_found(store: Store):
    for _ in range(5):
        append(store)

    def found(**bounds: int) -> list[int]:
        return [each.event.position for each in store.states.find(EventFilter(last=3), limit=2, **bounds)]

    assert [found(), found(before=3), found(after=0), found(after=2), found(after=3)] == [
        [3, 2],
        [2, 1],
        [1, 2],
        [3],
        [],
    ]
