"""The watchdog: due work that nobody here claims is a stall; a busy, an idle or a stopped engine is none."""

from application.pulse import LocalPulse, Watchdog
from application.subscription import of_pipeline
from infrastructure.memory.store import MemoryStore
from tests.factories import NewEventFactory

ORDERS = of_pipeline("orders", batch=1)


class Yard:
    """A watchdog that looks every second of a clock that only it moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.store = MemoryStore()
        self.store.claims.register([ORDERS])
        self.pulse = LocalPulse(lambda: self.now)
        self.watchdog = Watchdog(self.store.claims, [ORDERS], self.pulse, patience=30, clock=lambda: self.now)

    def append(self, count: int = 1) -> None:
        self.store.events.append(NewEventFactory.build_batch(count))

    def after(self, seconds: int) -> str | None:
        for _ in range(seconds):
            self.now += 1
            self.watchdog.look()
        return self.watchdog.stalled


def test_an_engine_with_nothing_to_do_is_well_however_long() -> None:
    assert Yard().after(1000) is None


def test_due_work_that_nobody_claims_is_a_stall_after_the_patience() -> None:
    yard = Yard()
    yard.append()
    assert yard.after(30) is None
    assert yard.after(1) == "orders"


def test_an_engine_that_claims_one_of_many_is_well() -> None:
    yard = Yard()
    yard.append(100)
    for _ in range(10):
        assert yard.after(20) is None
        yard.pulse.beat()
    assert yard.after(40) == "orders"


def test_an_old_pulse_is_no_fault_of_work_that_came_just_now() -> None:
    yard = Yard()
    yard.after(500)
    yard.append()
    assert yard.after(20) is None


def test_a_process_that_was_stopped_begins_to_count_when_it_goes_on() -> None:
    yard = Yard()
    yard.append()
    yard.after(20)
    yard.now += 60
    assert yard.after(30) is None
    assert yard.after(2) == "orders"


def test_work_that_was_claimed_by_another_meanwhile_is_none() -> None:
    yard = Yard()
    yard.append()
    yard.after(25)
    yard.store.claims.take(ORDERS, owner="another")
    assert yard.after(25) is None


def test_what_is_paused_cannot_be_claimed() -> None:
    yard = Yard()
    yard.append()
    yard.store.controls.pause(["orders"])
    assert yard.after(100) is None


def test_a_stall_that_is_over_is_forgotten() -> None:
    yard = Yard()
    yard.append()
    assert yard.after(40) == "orders"
    yard.store.claims.take(ORDERS, owner="me")
    assert yard.after(1) is None
