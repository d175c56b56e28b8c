"""What a claim puts back, and why the engine never loses a row: failures, stops, refusals, absences."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from application.engine import Batch, Outcome
from application.ports.claims import Claim, Completion, Requeue
from application.subscription import Selection, of_pipeline
from application.use_cases.processing import Processor
from domain.errors import CompletionRefused, TransientError, Unavailable
from domain.pipeline import Pipeline
from domain.registry import PipelineRegistry
from domain.retry import Retry
from tests.unit.engines import ORDERS, Bench, Passing, completed, failing


class Refusing(Passing):
    """Claims whose database refuses every context but those of status `dead`."""

    def complete(self, claim: Claim, completion) -> bool:
        if any(context.status != "dead" for context in completion.contexts):
            raise CompletionRefused("no")
        return self._claims.complete(claim, completion)


def test_a_completion_behind_the_fence_stores_nothing_and_puts_nothing_back(bench: Bench) -> None:
    bench.append(2)

    def paused(batch: Batch) -> Sequence[Outcome]:
        bench.clock.later(31)
        bench.engine().turn("orders")
        return [*completed(batch)[:1], Outcome(position=2, back="retry")]

    bench.engine(paused).turn("orders")

    assert bench.journal.ended[-1].result == "fenced"
    assert bench.done() == [1, 2]
    assert bench.backlog().claims == 0


def test_each_unbroken_run_of_rows_that_failed_goes_back_as_one_claim_with_backoff(bench: Bench) -> None:
    retry = Retry(attempts=5, base=8.0, cap=100.0)
    subscription = of_pipeline("orders", batch=6, retry=retry)
    bench.append(6)

    bench.engine(failing(1, 2, 4, 6), subscription=subscription, draw=lambda: 0.5).turn("orders")

    assert bench.done() == [3, 5]
    assert (bench.backlog().claims, bench.backlog().due, bench.backlog().claimed) == (3, 0, 4)
    bench.clock.later(3.9)
    assert bench.store.claims.take(subscription, owner="x") is None
    bench.clock.later(0.2)
    taken = [bench.store.claims.take(subscription, owner="x") for _ in range(3)]
    assert [(claim.first, claim.last, claim.attempt, claim.deaths) for claim in taken] == [
        (1, 2, 1, 0),
        (4, 4, 1, 0),
        (6, 6, 1, 0),
    ]


def test_the_backoff_grows_with_the_attempts(bench: Bench) -> None:
    bench.append(1)
    engine = bench.engine(failing(1), draw=lambda: 1.0)
    waits = []
    for _ in range(3):
        engine.turn("orders")
        waits.append(0)
        while not bench.backlog().due:
            bench.clock.later(1)
            waits[-1] += 1

    assert waits == [1, 2, 4]


def test_a_stopped_engine_hands_back_uncounted_and_due_at_once(bench: Bench) -> None:
    bench.append(4)

    def handle(batch: Batch) -> Sequence[Outcome]:
        engine.stop()
        assert batch.stopping()
        return [*completed(batch)[:1], Outcome(position=2, back="hand_back")]

    engine = bench.engine(handle)
    assert engine.turn("orders") == 1

    claim = bench.store.claims.take(ORDERS, owner="other")
    assert (claim.first, claim.last, claim.attempt, claim.deaths) == (2, 2, 0, 0)
    assert engine.turn("orders") == 0
    assert bench.done() == [1]


def test_a_handler_that_raises_retries_all_its_rows_ends_the_turn_and_loses_nothing(bench: Bench) -> None:
    bench.append(6)
    errors: list[Exception] = [ValueError("a defect"), Unavailable("away"), TransientError("again")]

    def handle(batch: Batch) -> Sequence[Outcome]:
        if errors:
            raise errors.pop(0)
        return completed(batch)

    engine = bench.engine(handle, draw=lambda: 0.0)
    worked = [engine.turn("orders") for _ in range(3)]
    assert worked == [1, 1, 1]
    assert [type(ended.error).__name__ for ended in bench.journal.ended] == [
        "ValueError",
        "Unavailable",
        "TransientError",
    ]
    assert all(ended.requeued == 1 for ended in bench.journal.ended)

    engine.turn("orders")
    assert bench.done() == [1, 2, 3, 4, 5, 6]


def test_what_the_work_needs_being_away_claims_nothing(bench: Bench) -> None:
    bench.append(1)

    def begin() -> None:
        raise Unavailable("no index")

    with pytest.raises(Unavailable):
        bench.engine(begin=begin).turn("orders")

    assert bench.backlog().claims == 0
    assert bench.backlog().has_due


def test_what_the_database_refuses_is_split_and_dead_after_three_deaths(bench: Bench) -> None:
    orders = Pipeline("orders", {"order.placed": Number}, ())
    processor = Processor(PipelineRegistry([orders]))
    bench.append(2)

    bench.engine(processor.process, claims=Refusing(bench.store.claims)).turn("orders")

    refused = [(claim.first, claim.last, claim.deaths) for claim in bench.journal.refused]
    assert refused[0] == (1, 2, 0)
    assert sorted(refused[1:]) == [(1, 1, 0), (1, 1, 1), (1, 1, 2), (2, 2, 0), (2, 2, 1), (2, 2, 2)]
    dead = bench.store.contexts.read(Selection(where={"status": "dead"}), limit=10)
    assert sorted(context.event_position for context in dead) == [1, 2]
    assert bench.backlog().claims == 0


def test_data_of_a_newer_schema_is_handed_back_and_not_tried_hot(bench: Bench) -> None:
    orders = Pipeline("orders", {"order.placed": Number}, ())
    processor = Processor(PipelineRegistry([orders]))
    bench.append(2, schema_version=2)
    bench.append(1)
    engine = bench.engine(processor.process)

    assert engine.turn("orders") == 2

    assert bench.done() == [3]
    assert bench.backlog().due == 0
    bench.clock.later(5.1)
    assert engine.turn("orders") == 1
    assert bench.journal.ended[-1].claim.attempt == 0


def test_a_single_row_is_read_by_its_position_though_the_selection_passes_over_it(bench: Bench) -> None:
    bench.append(1, not_before=bench.clock())
    bench.clock.later(1)

    bench.engine().turn("orders")

    assert bench.done() == [1]


class Number(BaseModel):
    number: int


def test_a_claim_of_a_process_with_larger_batches_is_worked_to_its_end(bench: Bench) -> None:
    bench.append(7)
    larger = replace(ORDERS, batch=7)
    bench.store.claims.register([larger])
    claim = bench.store.claims.take(larger, owner="larger")
    assert claim is not None
    back = Requeue(first=claim.first, last=claim.last, attempt=0)
    assert bench.store.claims.complete(claim, Completion(requeues=[back]))

    bench.engine().turn("orders")

    assert bench.done() == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("where", ["load", "complete"])
def test_what_an_absence_of_the_database_cut_off_is_handed_back_and_no_worker_counts_as_dead(
    bench: Bench, where: str
) -> None:
    bench.append(1)
    failing = {"load": 0, "complete": 0, where: 4}

    def fails(name: str) -> None:
        if failing[name]:
            failing[name] -= 1
            raise Unavailable("The connection to the database was lost.")

    class Claims(Passing):
        def complete(self, claim: Claim, completion: Completion) -> bool:
            fails("complete")
            return self._claims.complete(claim, completion)

    def load(selection: Selection, limit: int) -> Sequence[Any]:
        fails("load")
        return bench.store.events.read(selection, limit=limit)

    engine = bench.engine(claims=Claims(bench.store.claims))
    engine.works = {"orders": replace(engine.works["orders"], load=load)}
    for _ in range(4):
        with pytest.raises(Unavailable):
            engine.turn("orders")

    assert engine.turn("orders") == 1
    [context] = bench.store.contexts.of_event(1)
    assert (context.status, bench.journal.ended[-1].claim.deaths) == ("completed", 0)
