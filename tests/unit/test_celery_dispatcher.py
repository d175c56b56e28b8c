"""The dispatcher to Celery: nobody waits for a broker, rings are coalesced, and the last is never lost."""

import threading
import time
from collections.abc import Callable

import pytest

from infrastructure.celery import dispatcher as module
from infrastructure.celery.dispatcher import COALESCE_SECONDS, CeleryDispatcher
from tests.concurrency import at_once

COUNT = 1000


class Broker:
    """Remembers what was published, and when; `away` makes it fail."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str | None]] = []
        self.times: list[float] = []
        self.tried: list[float] = []
        self.away = False
        self.hold: Callable[[], object] | None = None
        self._changed = threading.Condition()

    def publish(self, subscription: str, event_id: str | None) -> None:
        with self._changed:
            self.tried.append(time.monotonic())
            self._changed.notify_all()
        if self.hold is not None:
            self.hold()
        if self.away:
            raise ConnectionError("away")
        with self._changed:
            self.published.append((subscription, event_id))
            self.times.append(time.monotonic())
            self._changed.notify_all()

    def wait_for(self, holds: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(holds, timeout=10)


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def dispatcher(broker: Broker) -> CeleryDispatcher:
    return CeleryDispatcher(broker.publish)


def test_a_ring_is_published_with_its_event(broker: Broker, dispatcher: CeleryDispatcher) -> None:
    dispatcher.ring("flights", event_id="e1")
    broker.wait_for(lambda: len(broker.published) == 1)
    dispatcher.ring("index")
    broker.wait_for(lambda: len(broker.published) == 2)

    assert broker.published == [("flights", "e1"), ("index", None)]


def test_a_subscription_is_rung_at_most_once_in_10_ms(broker: Broker, dispatcher: CeleryDispatcher) -> None:
    end = time.monotonic() + 0.2
    rings = 0
    while time.monotonic() < end:
        dispatcher.ring("flights", event_id=f"e{rings}")
        rings += 1
    last = f"e{rings - 1}"
    broker.wait_for(lambda: ("flights", last) in broker.published)

    assert rings > len(broker.times) > 1
    gaps = [later - earlier for earlier, later in zip(broker.tried, broker.tried[1:], strict=False)]
    assert min(gaps) > COALESCE_SECONDS * 0.8
    assert broker.published[-1] == ("flights", last)


def test_subscriptions_do_not_hold_up_each_other(broker: Broker, dispatcher: CeleryDispatcher) -> None:
    for name in "abcdefgh":
        dispatcher.ring(name)

    broker.wait_for(lambda: len(broker.published) == 8)

    assert sorted(name for name, _ in broker.published) == list("abcdefgh")


def test_after_every_ring_a_bell_is_published_whatever_threads_ring(
    broker: Broker, dispatcher: CeleryDispatcher
) -> None:
    """The wake-up that must not be lost: the last publication of a name begins after its last ring."""

    def hammer(thread: int) -> float:
        for number in range(COUNT):
            dispatcher.ring(f"s{number % 3}", event_id=f"{thread}-{number}")
        return time.monotonic()

    begun: dict[str, float] = {}
    publish = dispatcher._publish

    def timed(subscription: str, event_id: str | None) -> None:
        begun[subscription] = time.monotonic()
        time.sleep(0.0005)
        publish(subscription, event_id)

    dispatcher._publish = timed
    at_once(8, hammer)
    rung = {name: time.monotonic() for name in ("s0", "s1", "s2")}
    for name in rung:
        rung[name] = time.monotonic()
        dispatcher.ring(name)

    broker.wait_for(lambda: all(begun.get(name, 0) > at for name, at in rung.items()))


def test_a_ring_while_its_bell_is_being_published_is_a_new_one(broker: Broker, dispatcher: CeleryDispatcher) -> None:
    go_on = threading.Event()
    broker.hold = lambda: go_on.wait(10)
    dispatcher.ring("flights", event_id="e1")
    broker.wait_for(lambda: len(broker.tried) == 1)

    dispatcher.ring("flights", event_id="e2")
    go_on.set()

    broker.wait_for(lambda: broker.published == [("flights", "e1"), ("flights", "e2")])


def test_a_failed_publish_is_tried_again_with_the_newest_event(
    broker: Broker, dispatcher: CeleryDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module.RETRY_SECONDS == 2.0
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    broker.away = True
    dispatcher.ring("flights", event_id="e1")
    broker.wait_for(lambda: len(broker.tried) == 1)
    dispatcher.ring("flights", event_id="e2")
    broker.wait_for(lambda: len(broker.tried) == 3)
    broker.away = False

    broker.wait_for(lambda: broker.published == [("flights", "e2")])

    assert min(b - a for a, b in zip(broker.tried, broker.tried[1:], strict=False)) >= 0.05


def test_a_broker_that_is_away_costs_no_caller_time_and_no_memory(broker: Broker, dispatcher: CeleryDispatcher) -> None:
    go_on = threading.Event()
    broker.hold = lambda: go_on.wait(10)
    began = time.monotonic()
    for number in range(50_000):
        dispatcher.ring(f"s{number % 5}", event_id=str(number))

    assert time.monotonic() - began < 2
    assert len(dispatcher._pending) <= 5
    go_on.set()
    broker.wait_for(lambda: {event_id for _, event_id in broker.published} >= {str(n) for n in range(49_995, 50_000)})


def test_a_ring_without_an_event_keeps_the_one_that_waits(broker: Broker, dispatcher: CeleryDispatcher) -> None:
    go_on = threading.Event()
    broker.hold = lambda: go_on.wait(10)
    dispatcher.ring("other")
    broker.wait_for(lambda: len(broker.tried) == 1)
    dispatcher.ring("flights", event_id="e1")
    dispatcher.ring("flights")
    go_on.set()

    broker.wait_for(lambda: len(broker.published) == 2)
    assert broker.published[1] == ("flights", "e1")
