"""The engine's threads: no ring is lost, no error ends a thread, a stop hands back."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from application.engine import Batch, Engine, Outcome
from application.subscription import of_pipeline
from application.sweep import Sweeper
from infrastructure.embedded import engine_threads
from infrastructure.embedded.engine_threads import EngineThreads
from tests.unit.engines import Bench, completed


@pytest.fixture
def threads() -> Iterator[EngineThreads]:
    threads = EngineThreads(threads=2)
    yield threads
    threads.stop(5)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def start(threads: EngineThreads, bench: Bench, engine: Engine) -> None:
    sweeper = Sweeper(bench.store.claims, threads, ["orders"])
    threads.start(engine, {"sweep": sweeper.sweep}, bench.journal)


def test_each_subscription_is_worked_once_unasked(bench: Bench, threads: EngineThreads) -> None:
    bench.append(3)

    start(threads, bench, bench.engine(dispatcher=threads))

    until(lambda: bench.done() == [1, 2, 3])


def test_a_ring_during_a_turn_is_not_lost(bench: Bench, threads: EngineThreads) -> None:
    entered, leave = threading.Event(), threading.Event()
    waits = [True]

    class Gate:
        """Stands where the turn has seen that there is nothing more, and has not ended."""

        def __getattr__(self, name: str):
            return getattr(bench.store.claims, name)

        def claimable(self, subscription):
            found = bench.store.claims.claimable(subscription)
            if not found and waits:
                waits.clear()
                entered.set()
                assert leave.wait(10)
            return found

    start(threads, bench, bench.engine(dispatcher=threads, claims=Gate()))
    assert entered.wait(10)
    bench.append(1)
    threads.ring("orders")
    leave.set()

    began = time.monotonic()
    until(lambda: bench.done() == [1])
    assert time.monotonic() - began < engine_threads.SWEEP_SECONDS / 2


def test_a_subscription_is_worked_by_one_thread_at_a_time(bench: Bench, threads: EngineThreads) -> None:
    inside: list[int] = []
    most = [0]

    def handle(batch: Batch) -> Sequence[Outcome]:
        inside.append(1)
        most[0] = max(most[0], len(inside))
        time.sleep(0.005)
        inside.pop()
        return completed(batch)

    bench.append(20)
    start(threads, bench, bench.engine(handle, dispatcher=threads))

    until(lambda: len(bench.done()) == 20)
    assert most == [1]


def test_a_slow_subscription_leaves_the_other_thread_to_others(bench: Bench, threads: EngineThreads) -> None:
    leave = threading.Event()

    def slow(batch: Batch) -> Sequence[Outcome]:
        assert leave.wait(10)
        return completed(batch)

    bench.append(1)
    bench.append(1, route="others")
    others = bench.work(of_pipeline("others"))
    start(threads, bench, bench.engine(slow, others, dispatcher=threads))

    until(lambda: bench.done() == [2])
    leave.set()
    until(lambda: bench.done() == [1, 2])


def test_an_error_ends_no_thread(bench: Bench, threads: EngineThreads) -> None:
    errors = [RuntimeError("a defect")] * 4

    def begin() -> None:
        if errors:
            raise errors.pop()

    start(threads, bench, bench.engine(begin=begin, dispatcher=threads))
    bench.append(1)
    for count in range(1, 5):
        until(lambda: len(bench.journal.failures) == count)  # noqa: B023  # called before the next round
        threads.ring("orders")

    until(lambda: bench.done() == [1])


def test_the_sweep_outlives_errors(bench: Bench, threads: EngineThreads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_threads, "SWEEP_SECONDS", 0.01)
    sweeps: list[int] = []

    class Failing(Sweeper):
        def sweep(self) -> list[str]:
            sweeps.append(1)
            raise RuntimeError("a defect")

    failing = Failing(bench.store.claims, threads, [])
    threads.start(bench.engine(dispatcher=threads), {"sweep": failing.sweep}, bench.journal)

    until(lambda: len(sweeps) > 3)
    assert bench.journal.failures[0][0] == "sweep"


def test_a_stop_hands_back_what_has_not_run_and_ends_the_threads(bench: Bench, threads: EngineThreads) -> None:
    entered = threading.Event()

    def handle(batch: Batch) -> Sequence[Outcome]:
        entered.set()
        until(batch.stopping)
        return [Outcome(position=row.position, back="hand_back") for row in batch.rows]

    bench.append(4)
    before = threading.active_count()
    start(threads, bench, bench.engine(handle, dispatcher=threads))
    assert entered.wait(10)

    threads.stop(5)

    assert threading.active_count() <= before
    assert (bench.backlog().claims, bench.backlog().due, bench.done()) == (1, 1, [])


def test_a_stop_waits_no_longer_than_it_may(bench: Bench, threads: EngineThreads) -> None:
    leave, entered = threading.Event(), threading.Event()

    def handle(batch: Batch) -> Sequence[Outcome]:
        entered.set()
        assert leave.wait(10)
        return completed(batch)

    bench.append(1)
    bench.append(1, route="others")
    start(threads, bench, bench.engine(handle, bench.work(of_pipeline("others"), handle), dispatcher=threads))
    assert entered.wait(10)

    began = time.monotonic()
    threads.stop(0.2)

    assert time.monotonic() - began < 0.35
    leave.set()
