"""Doors that close at a limit and open again well below it; what senders are told meanwhile."""

import time

import pytest

from application.admission import Admission
from application.ports.claims import Completion
from application.subscription import Lane, of_pipeline
from domain.errors import Overloaded
from infrastructure.memory.store import MemoryStore
from tests.factories import NewEventFactory

ORDERS = of_pipeline("orders", batch=1)
SALES = of_pipeline("sales", batch=1)


class Desk:
    """A limit of ten events, a clock that only it moves, and a look whenever it says so."""

    def __init__(self, *, limit: int = 10) -> None:
        self.now = 50.0
        self.store = MemoryStore()
        self.store.claims.register([ORDERS, SALES])
        self.admission = Admission(
            self.store.claims, self.store.events, limit=limit, clock=lambda: self.now, draw=lambda: 0.5
        )

    def append(self, count: int, route: str = "orders") -> None:
        self.store.events.append(NewEventFactory.build_batch(count, route=route))

    def work(self, count: int) -> None:
        for _ in range(count):
            claim = self.store.claims.take(ORDERS, owner="w")
            assert claim is not None
            assert self.store.claims.complete(claim, Completion())

    def is_open(self, route: str = "orders") -> bool:
        self.admission.look()
        self.admission.stop()
        return passes(self.admission, route)

    def retry_after(self) -> float:
        with pytest.raises(Overloaded) as refused:
            self.admission.require("orders")
        return refused.value.retry_after


def test_a_door_closes_at_the_limit_and_opens_when_a_fifth_is_done() -> None:
    desk = Desk()
    desk.append(9)
    assert desk.is_open()
    desk.append(1)
    assert not desk.is_open()
    desk.work(2)
    assert not desk.is_open()
    desk.work(1)
    assert desk.is_open()
    desk.append(2)
    assert desk.is_open()


def test_what_is_claimed_waits_as_well() -> None:
    desk = Desk()
    desk.append(10)
    desk.store.claims.take(ORDERS, owner="w")
    assert not desk.is_open()


def test_each_pipeline_has_its_own_door() -> None:
    desk = Desk()
    desk.append(10)
    assert not desk.is_open()
    assert desk.is_open("sales")
    assert desk.is_open("unheard")
    desk.admission.require(None)


def test_events_of_others_do_not_count_though_they_stand_behind_the_cursor() -> None:
    desk = Desk()
    desk.append(50, route="sales")
    assert desk.is_open()


def test_the_lanes_of_a_pipeline_count_together() -> None:
    desk = Desk()
    desk.store.claims.register([of_pipeline("lanes", lane=Lane(number, 3)) for number in range(3)])
    desk.append(10, route="lanes")
    assert not desk.is_open("lanes")


def test_of_what_a_claim_covers_only_the_events_of_its_lane_count() -> None:
    desk = Desk()
    lanes = [of_pipeline("lanes", lane=Lane(number, 3)) for number in range(3)]
    desk.store.claims.register(lanes)
    for _ in range(4):
        desk.append(1, route="lanes")
        desk.append(20, route="sales")
    for lane in lanes:
        desk.store.claims.take(lane, owner="w")
    assert desk.is_open("lanes")
    desk.append(6, route="lanes")
    assert not desk.is_open("lanes")


def test_lanes_that_are_each_behind_for_events_of_others_do_not_add_up() -> None:
    desk = Desk()
    desk.store.claims.register([of_pipeline("lanes", lane=Lane(number, 3)) for number in range(3)])
    desk.append(6, route="sales")
    assert desk.is_open("lanes")


def test_without_a_limit_every_event_passes() -> None:
    desk = Desk(limit=0)
    desk.append(1000)
    assert desk.is_open()


def test_senders_are_told_a_time_by_the_rate_at_which_the_backlog_shrinks() -> None:
    desk = Desk()
    desk.append(30)
    desk.is_open()
    assert desk.retry_after() == 10  # nobody knows yet
    desk.work(4)
    desk.now += 2
    desk.is_open()
    assert desk.retry_after() == pytest.approx((26 - 8) / 2)
    desk.now += 5  # and nothing was done: the rate falls
    desk.is_open()
    assert desk.retry_after() > 9


def test_the_time_that_senders_are_told_is_bounded() -> None:
    desk = Desk()
    desk.append(2000)
    desk.is_open()
    desk.work(1)
    desk.now += 100
    desk.is_open()
    assert desk.retry_after() == 300


def test_the_backlog_is_looked_at_by_itself_while_events_come() -> None:
    store = MemoryStore()
    store.claims.register([ORDERS])
    store.events.append(NewEventFactory.build_batch(10))
    admission = Admission(store.claims, store.events, limit=10)
    end = time.monotonic() + 10
    while passes(admission):
        assert time.monotonic() < end
        time.sleep(0.01)
    admission.stop()


def passes(admission: Admission, route: str = "orders") -> bool:
    try:
        admission.require(route)
    except Overloaded:
        return False
    return True
