"""Asking: what a run may ask for, follow-up events and calls, is judged before it is appended."""

from pydantic import BaseModel, Field

from application.engine import Batch
from application.ports.claims import Completion
from application.subscription import Selection
from application.use_cases.follow_ups import append_follow_ups
from application.use_cases.processing import Processor
from domain.context import TaskContext
from domain.pipeline import Pipeline, node
from domain.registry import PipelineRegistry
from infrastructure.memory.dispatcher import MemoryDispatcher
from infrastructure.memory.store import MemoryStore
from playhead import EmitEvent, HttpCall
from tests.factories import NewEventFactory, RecordedEventFactory
from tests.unit.runs import ORDERS, Order, break_down, context_of, orders, run


@node
def ask(context: TaskContext) -> TaskContext:
    return context.declare(EmitEvent(type="order.seen", data={"number": context.data.number}))


@node
def phone(context: TaskContext) -> TaskContext:
    return context.declare(HttpCall(url="https://example.org/"))


def test_a_follow_up_is_validated_in_the_run_that_asks_for_it() -> None:
    [refused], _ = run(orders(ask))
    [kept], _ = run(orders(ask), unknown_types="keep")

    assert (refused.context.status, refused.context.emits) == ("dead", False)
    assert context_of(refused)["run"]["failure"]["type"] == "UnknownType"
    assert (kept.context.status, kept.context.emits) == ("completed", True)


def test_a_context_says_whether_it_asks_for_events_and_whether_it_declares_calls() -> None:
    [asks], _ = run(orders(ask), unknown_types="keep")
    [calls], _ = run(orders(phone))
    [both], _ = run(orders(ask, phone), unknown_types="keep")
    [failed], _ = run(orders(phone, break_down))

    flags = [(outcome.context.emits, outcome.context.calls) for outcome in (asks, calls, both, failed)]
    assert flags == [(True, False), (False, True), (True, True), (False, False)]


def test_a_chain_of_follow_ups_ends() -> None:
    [last], _ = run(orders(ask), RecordedEventFactory(depth=15), unknown_types="keep")
    [refused], _ = run(orders(ask), RecordedEventFactory(depth=16), unknown_types="keep")

    assert last.context.status == "completed"
    assert refused.context.status == "dead"
    assert "loop" in context_of(refused)["run"]["failure"]["message"]


def test_a_follow_up_is_no_larger_than_an_event_may_be() -> None:
    @node
    def ask_for_much(context: TaskContext) -> TaskContext:
        return context.declare(EmitEvent(type="order.placed", data={"number": 1, "text": "x" * (1 << 20)}))

    [outcome], _ = run(orders(ask_for_much), unknown_types="keep")

    assert outcome.context.status == "dead"
    assert "1,048,576 bytes" in context_of(outcome)["run"]["failure"]["message"]


def test_a_run_asks_for_at_most_a_thousand_events() -> None:
    @node
    def ask_often(context: TaskContext) -> TaskContext:
        for number in range(1001):
            context = context.declare(EmitEvent(type="order.seen", data={"number": number}))
        return context

    [outcome], _ = run(orders(ask_often), unknown_types="keep")

    assert "1001" in context_of(outcome)["run"]["failure"]["message"]


def test_follow_ups_that_no_longer_fit_their_schema_do_not_hold_up_their_neighbours() -> None:
    class Strict(BaseModel):
        number: int = Field(ge=0)

    @node
    def ask_for_more(context: TaskContext) -> TaskContext:
        return context.declare(EmitEvent(type="order.more", data={"number": context.data.number}))

    def registry(model: type[BaseModel]) -> PipelineRegistry:
        more = Pipeline("more", {"order.more": model})
        return PipelineRegistry([Pipeline("orders", {"order.placed": Order}, (ask_for_more,)), more])

    store = MemoryStore()
    store.events.append([NewEventFactory(data=f'{{"number": {number}}}') for number in (1, -1, 2)])
    live = ORDERS
    store.claims.register([live])
    claim = store.claims.take(live, owner="w")
    batch = Batch(
        claim=claim,
        subscription=ORDERS,
        rows=store.events.read(Selection(), limit=9),
        stopping=lambda: False,
    )
    contexts = [outcome.context for outcome in Processor(registry(Order)).process(batch)]
    assert store.claims.complete(claim, Completion(contexts=contexts))

    batch = Batch(
        claim=claim,
        subscription=ORDERS,
        rows=store.contexts.read(Selection(), limit=9),
        stopping=lambda: False,
    )
    append_follow_ups(batch, registry=registry(Strict), events=store.events, dispatcher=MemoryDispatcher())

    appended = store.events.read(Selection(after=3), limit=9)
    assert [(event.route, event.data) for event in appended] == [
        ("more", '{"number":1}'), ("more", '{"number":-1}'), ("more", '{"number":2}')
    ]  # fmt: skip
