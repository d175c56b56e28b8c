"""Processing: what one run of an event appends, and when the event goes back."""

import pytest

from application.engine import Batch
from application.ports.claims import Claim
from application.subscription import Lane, Subscription, of_pipeline
from application.use_cases import processing
from application.use_cases.processing import Processor
from domain.context import TaskContext
from domain.events import RecordedEvent
from domain.nodes import ElasticsearchIndexNode
from domain.pipeline import FunctionNode, Pipeline, node
from domain.registry import PipelineRegistry
from playhead import EmitEvent, Retry, Schema, TransientError
from tests.factories import RecordedEventFactory
from tests.unit.runs import LANE, ORDERS, Order, break_down, context_of, orders, run


@node
def double(context: TaskContext) -> int:
    return context.data.number * 2


@node
def hiccup(context: TaskContext) -> int:
    raise TransientError("the moon is in the way")


class Panic(BaseException):
    """As some extension modules raise it, past every `except Exception`."""


@node
def panic(context: TaskContext) -> int:
    raise Panic


@node
def leave(context: TaskContext) -> int:
    raise SystemExit(3)


@node
def lone_surrogate(context: TaskContext) -> str:
    return "\ud800"


@node
def not_a_number(context: TaskContext) -> dict[str, float]:
    return {"deep": float("nan")}


@node
def ask_wrongly(context: TaskContext) -> TaskContext:
    return context.declare(EmitEvent(type="order.placed", data={"number": "many"}))


def test_a_completed_run_is_appended_whole() -> None:
    event = RecordedEventFactory(data='{"number":  21}')

    [outcome], _ = run(orders(double), event)

    context = TaskContext.from_json(outcome.context.context)
    assert outcome.back is None
    assert outcome.context.status == "completed"
    assert context.event == event
    assert context.outputs == {"double": 42}
    assert [effect.kind for effect in context.effects] == ["index_document"]
    assert context.digest == outcome.context.digest
    assert list(context.run.seconds) == ["double", "elasticsearch_index"]
    assert (context.run.attempt, context.run.generation, context.run.status) == (1, 0, "completed")


def test_a_transient_error_is_an_attempt_that_failed_and_goes_back() -> None:
    [outcome], _ = run(orders(double, hiccup))

    assert outcome.back == "retry"
    assert outcome.context.status == "failed"
    run_data = context_of(outcome)["run"]
    assert run_data["failure"]["node"] == "hiccup"
    assert run_data["failure"]["type"] == "TransientError"
    assert run_data["failure"]["message"] == "the moon is in the way"
    assert "test_processing.py:" in run_data["failure"]["where"]
    assert list(context_of(outcome)["outputs"]) == ["double"]


def test_the_last_attempt_of_a_transient_error_is_dead() -> None:
    [outcome], _ = run(orders(hiccup, retry=Retry(attempts=3)), attempt=2)

    assert (outcome.back, outcome.context.status) == (None, "dead")
    assert context_of(outcome)["run"]["attempt"] == 3


@pytest.mark.parametrize("bad", [break_down, leave, panic, lone_surrogate, not_a_number, ask_wrongly])
def test_any_other_failure_is_dead_at_once_and_spares_its_neighbours(bad) -> None:
    events = [RecordedEventFactory(), RecordedEventFactory(data='{"number": "x"}'), RecordedEventFactory()]

    outcomes, _ = run(orders(bad), *events)

    assert [(outcome.back, outcome.context.status) for outcome in outcomes] == [(None, "dead")] * 3
    assert context_of(outcomes[1])["run"]["failure"]["type"] == "InvalidEvent"


def test_a_pipeline_that_indexes_by_itself_gets_no_second_index_node() -> None:
    own = FunctionNode("double", double.function), ElasticsearchIndexNode()

    [outcome], _ = run(Pipeline("orders", {"order.placed": Order}, own))

    assert outcome.context.status == "completed"
    assert list(context_of(outcome)["run"]["seconds"]) == ["double", "elasticsearch_index"]


def test_an_event_whose_workers_died_three_times_is_dead_and_not_run() -> None:
    [outcome], _ = run(orders(double), deaths=3)

    assert outcome.context.status == "dead"
    assert context_of(outcome)["run"]["failure"]["type"] == "WorkerDied"
    assert context_of(outcome)["outputs"] == {}


def test_data_of_a_newer_schema_is_handed_back() -> None:
    [outcome], _ = run(orders(double), RecordedEventFactory(schema_version=2))

    assert (outcome.back, outcome.context) == ("hand_back", None)


def test_old_data_is_lifted_before_the_nodes_see_it() -> None:
    schema = Schema(Order, version=2, upcasters={1: lambda data: {"number": data["n"]}})
    pipeline = Pipeline("orders", {"order.placed": schema}, (double,))

    [outcome], _ = run(pipeline, RecordedEventFactory(data='{"n": 4}', schema_version=1))

    assert context_of(outcome)["outputs"] == {"double": 8}
    assert context_of(outcome)["event"]["data"] == {"n": 4}


def test_an_upcaster_that_fails_ends_the_event_as_a_dead_letter_that_names_type_version_and_step() -> None:
    def lift(data):
        return {"number": data["lost"]}

    pipeline = Pipeline("orders", {"order.placed": Schema(Order, version=2, upcasters={1: lift})}, (double,))

    outcomes, _ = run(pipeline, RecordedEventFactory(schema_version=1), RecordedEventFactory(schema_version=2))

    assert [(outcome.back, outcome.context.status) for outcome in outcomes] == [(None, "dead"), (None, "completed")]
    failure = context_of(outcomes[0])["run"]["failure"]
    assert failure["type"] == "UpcastFailed"
    assert "'order.placed' from version 1 to 2, on data of version 1, raised KeyError: 'lost'" in failure["message"]
    assert failure["where"].endswith(" in lift")


def test_a_stopping_worker_hands_back_what_it_has_not_begun() -> None:
    events = RecordedEventFactory.create_batch(4)

    outcomes, _ = run(orders(double), *events, stop_after=2)

    assert [outcome.back for outcome in outcomes] == [None, None, "hand_back", "hand_back"]
    assert [outcome.position for outcome in outcomes] == [event.position for event in events]


@pytest.mark.parametrize(
    ("subscription", "backs"),
    [(ORDERS, [None, None, "hand_back", "hand_back"]), (LANE, [None, None, "hand_back", "behind"])],
    ids=["any order", "in order"],
)
def test_contexts_larger_than_a_database_takes_at_once_are_made_by_parts(
    monkeypatch: pytest.MonkeyPatch, subscription: Subscription, backs: list[str | None]
) -> None:
    events = RecordedEventFactory.create_batch(4)
    [outcome], _ = run(orders(double), events[0])
    monkeypatch.setattr(processing, "MAX_MADE", len(outcome.context.context) + 100)

    outcomes, _ = run(orders(double), *events, subscription=subscription)

    assert [outcome.back for outcome in outcomes] == backs
    assert outcomes[2].after == 0.0


def test_progress_tells_step_and_share() -> None:
    _, batch = run(orders(double), *RecordedEventFactory.create_batch(2))

    assert batch.progress() == {"status": "processing", "current_step": "", "progress": 1.0}


def test_an_event_runs_through_the_pipeline_it_was_routed_to_while_that_accepts_its_type() -> None:
    old = Pipeline("old", {"order.sent": Order}, (double,))
    new = Pipeline("new", {"order.placed": Order}, (double,))
    claim = Claim(id=1, subscription="old", first=1, last=1, attempt=0, deaths=0, fence=1)
    moved = RecordedEventFactory(type="order.placed", route="old")
    batch = Batch(claim=claim, subscription=ORDERS, rows=[moved], stopping=lambda: False)

    [outcome] = Processor(PipelineRegistry([old, new])).process(batch)

    assert (outcome.context.status, outcome.context.pipeline) == ("completed", "new")


def test_an_event_of_a_type_that_only_newer_code_runs_is_handed_back() -> None:
    [outcome], _ = run(orders(double), RecordedEventFactory(type="order.new", route="orders"))

    assert (outcome.back, outcome.context) == ("hand_back", None)


def test_an_event_without_a_pipeline_is_dead_in_a_replay_with_its_reason() -> None:
    [outcome], _ = run(orders(double), RecordedEventFactory(type="order.gone"), generation=1)

    assert outcome.context.status == "dead"
    assert context_of(outcome)["run"]["failure"]["type"] == "UnknownType"


@node
def fail_at_two(context: TaskContext) -> int:
    if context.data.number == 2:
        raise TransientError("not yet")
    return context.data.number


@node
def die_at_two(context: TaskContext) -> float:
    return 1 / (context.data.number - 2)


def numbers(*given: int) -> list[RecordedEvent]:
    return [
        RecordedEventFactory(position=position, data=f'{{"number": {number}}}')
        for position, number in enumerate(given, 1)
    ]


def test_in_order_what_follows_a_failed_event_goes_back_behind_it() -> None:
    outcomes, _ = run(orders(fail_at_two), *numbers(1, 2, 3), subscription=LANE)

    assert [outcome.back for outcome in outcomes] == [None, "retry", "behind"]
    assert [outcome.context is not None for outcome in outcomes] == [True, True, False]


def test_out_of_order_what_follows_a_failed_event_goes_on() -> None:
    outcomes, _ = run(orders(fail_at_two), *numbers(1, 2, 3))

    assert [outcome.back for outcome in outcomes] == [None, "retry", None]


def test_a_dead_letter_holds_its_lane() -> None:
    outcomes, _ = run(orders(die_at_two), *numbers(1, 2, 3), subscription=LANE)

    assert [outcome.back for outcome in outcomes] == [None, None, "behind"]
    assert [outcome.holds for outcome in outcomes] == [False, True, False]


def test_a_dead_letter_is_passed_where_the_pipeline_says_so() -> None:
    passing = of_pipeline("orders", lane=Lane(0, 1), hold=False)
    outcomes, _ = run(orders(die_at_two), *numbers(1, 2, 3), subscription=passing)

    assert [outcome.back for outcome in outcomes] == [None, None, None]
    assert not any(outcome.holds for outcome in outcomes)


def test_failures_of_one_cause_share_their_kind_whatever_they_say() -> None:
    kinds = {
        outcome.context.failure
        for number in (1, 2)
        for outcome in run(orders(FunctionNode("complain", complain)), *numbers(number))[0]
    }

    assert kinds == {"ValueError in complain (unit/test_processing.py: complain)"}


def complain(context: TaskContext) -> int:
    raise ValueError(f"number {context.data.number} is not liked")
