"""Biography: what is told of one event, from the stores alone."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from application.auditor import Auditor
from application.engine import Engine
from application.ports.dead_letters import DeadLetterFilter
from application.ports.promotions import View
from application.subscription import Selection, of_pipeline
from application.use_cases import dead_letters
from application.use_cases.biography import Biography, biography_of
from application.use_cases.causation import ASKED_FOR, MAX_RELATIVES
from application.use_cases.dead_letters import Chosen
from application.use_cases.processing import Processor
from application.use_cases.results import documents_of
from domain.context import TaskContext
from domain.errors import NotFound, Unavailable
from domain.nodes import Branches, Route
from domain.pipeline import FunctionNode, Pipeline, node
from domain.registry import PipelineRegistry
from infrastructure.memory.search_index import MemorySearchIndex
from playhead import EmitEvent, HttpCall, Retry, Schema, TransientError
from tests.factories import NewEventFactory
from tests.unit.engines import Bench


class Seen(BaseModel):
    pass


class Order(BaseModel):
    number: int
    currency: str


def in_euro(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "currency": "EUR"}


@node
def price(context: TaskContext) -> int:
    if context.data.number < 0:
        raise TransientError("the prices are away")
    return 100 // context.data.number


@node
def ask(context: TaskContext) -> TaskContext:
    return context.declare(EmitEvent(type="order.seen", data={}))


@node
def phone(context: TaskContext) -> TaskContext:
    return context.declare(HttpCall(url="https://example.org/hook"))


@node
def stow(context: TaskContext) -> TaskContext:
    return context.with_output("stowed", "here")


class Away(MemorySearchIndex):
    """An index that cannot be reached."""

    def search(self, query):
        raise Unavailable("Elasticsearch cannot be reached: no route.")


class Shop(Bench):
    """A pipeline of orders over a store in memory, whose engine runs when told to."""

    def __init__(self, *nodes: Any, **options: Any) -> None:
        super().__init__()
        self.pipeline = Pipeline(
            "orders",
            {"order.placed": Schema(Order, version=2, upcasters={1: in_euro})},
            nodes or (price,),
            retry=Retry(attempts=2),
            **options,
        )
        self.registry = PipelineRegistry([self.pipeline, Pipeline("seen", {"order.seen": Seen})])
        self.index: MemorySearchIndex = MemorySearchIndex()
        subscription = replace(of_pipeline("orders", batch=1), retry=self.pipeline.retry)
        self.worker: Engine = self.engine(Processor(self.registry).process, subscription=subscription)

    def post(self, number: int = 4, **changes: Any) -> str:
        event = NewEventFactory(data=f'{{"number": {number}}}', schema_version=1, **changes)
        self.store.events.append([event])
        event_id: str = event.id
        return event_id

    def run(self) -> None:
        self.clock.later(60)
        self.worker.turn("orders")

    def indexed(self) -> None:
        for row in self.store.contexts.read(Selection(), limit=9):
            self.index.put(documents_of(row, View().ranks))

    def explain(self, event_id: str) -> Biography:
        store = self.store
        return biography_of(
            event_id,
            events=store.events,
            contexts=store.contexts,
            states=store.states,
            claims=store.claims,
            ledger=store.ledger,
            audit=store.audit,
            replays=store.replays,
            promotions=store.promotions,
            index=self.index,
            registry=self.registry,
        )

    def decide(self) -> dict[str, Any]:
        store = self.store
        return {
            "events": store.events,
            "dead_letters": store.dead_letters,
            "auditor": Auditor("cli:me", store.audit),
        }

    def requeue(self, chosen: Chosen) -> None:
        dead_letters.requeue(chosen, dispatcher=self.dispatcher, registry=self.registry, **self.decide())


def made(biography: Biography) -> list[tuple[str, str | None, Any]]:
    return [(run.node, run.inside, run.output) for run in biography.attempts[-1].nodes if run.made]


def test_an_attempt_tells_node_by_node_what_each_added():
    shop = Shop(price, ask, phone)
    shop.run()
    event_id = shop.post()
    shop.run()

    [attempt] = shop.explain(event_id).attempts
    assert [(run.node, run.made, run.output) for run in attempt.nodes] == [
        ("price", True, 25), ("ask", False, None), ("phone", False, None), ("elasticsearch_index", False, None),
    ]  # fmt: skip
    assert all(run.seconds is not None for run in attempt.nodes)
    assert [(effect.kind, effect.target) for run in attempt.nodes for effect in run.effects] == [
        ("emit_event", "order.seen"), ("http_call", "https://example.org/hook"), ("index_document", ""),
    ]  # fmt: skip


def test_what_nodes_inside_others_added_stands_under_these():
    inner = tuple(FunctionNode(name, lambda context: context.node) for name in ("left", "right"))
    route = Route("kind", lambda _: "big", {"big": (FunctionNode("big_one", lambda _: 1),)})
    shop = Shop(route, Branches("both", {"a": inner[:1], "b": inner[1:]}), stow)
    event_id = shop.post()
    shop.run()

    assert made(shop.explain(event_id)) == [
        ("kind", None, "big"), ("big_one", "kind", 1), ("both", None, ["a", "b"]), ("left", "both", "left"),
        ("right", "both", "right"), ("stowed", None, "here"),
    ]  # fmt: skip


def test_retries_and_the_dead_letter_are_told_with_their_waits_and_where_they_failed():
    shop = Shop()
    event_id = shop.post(-1)
    shop.run()
    waiting = shop.explain(event_id)
    assert (waiting.task.status, len(waiting.attempts), waiting.decisions) == ("retrying", 1, [])
    assert waiting.claim is not None
    assert (waiting.claim.attempt, waiting.claim.available_at > waiting.now) == (1, True)
    shop.run()

    biography = shop.explain(event_id)
    assert [(each.attempt, each.status) for each in biography.attempts] == [(1, "failed"), (2, "dead")]
    assert [each.waited_seconds for each in biography.attempts] == pytest.approx([60, 60], abs=1)
    failure = biography.attempts[-1].failure
    assert failure is not None
    assert (failure.node, failure.type) == ("price", "TransientError")
    assert "test_biography.py" in str(failure.where)
    assert [each.what for each in biography.decisions] == ["died"]
    assert (biography.claim, biography.index.status) == (None, "nothing to index")


def test_what_was_decided_about_a_dead_letter_is_told_with_who_and_why():
    shop = Shop()
    dead, other = shop.post(0), shop.post(0, subject="another")
    shop.run()
    shop.clock.later(1)
    shop.requeue(Chosen(ids=[dead.upper()]))
    shop.run()
    shop.clock.later(1)
    shop.requeue(Chosen(wanted=DeadLetterFilter(pipeline="orders"), count=2))
    shop.run()
    shop.clock.later(1)
    dead_letters.discard(Chosen(ids=[dead]), "sent by mistake", **shop.decide())

    def told(event_id: str) -> list[tuple[str, str | None]]:
        return [(each.what, each.by) for each in shop.explain(event_id).decisions]

    me = "cli:me"
    died = ("died", None)
    assert told(dead) == [died, ("requeued", me), died, ("requeued", me), died, ("discarded", me)]
    assert told(other) == [died, ("requeued", me), died]
    assert shop.explain(dead).decisions[-1].reason == "sent by mistake"
    assert shop.explain(dead).decisions[0].reason == "ZeroDivisionError in price (unit/test_biography.py: price)"
    assert [each.status for each in shop.explain(dead).attempts] == ["dead"] * 3


def test_a_decision_by_a_filter_that_does_not_fit_is_not_this_events():
    shop = Shop()
    event_id = shop.post(0)
    shop.run()
    shop.clock.later(1)
    for wanted in (
        DeadLetterFilter(type="order.seen"),
        DeadLetterFilter(pipeline="seen"),
        DeadLetterFilter(failure="no such"),
        DeadLetterFilter(since=shop.clock()),
    ):
        shop.requeue(Chosen(wanted=wanted, count=0))
    shop.clock.later(1)

    assert [each.what for each in shop.explain(event_id).decisions] == ["died"]


def test_the_schema_reading_names_the_upcasters_and_what_does_not_fit():
    shop = Shop()
    reading = shop.explain(shop.post()).schema
    assert reading is not None
    assert (reading.model, reading.stored, reading.today, reading.lifted_by) == ("Order", 1, 2, ["in_euro"])
    assert reading.faults == ()

    bad = NewEventFactory(data='{"number": "many"}', schema_version=1)
    shop.store.events.append([bad])
    reading = shop.explain(bad.id).schema
    assert reading is not None
    assert [fault.pointer for fault in reading.faults] == ["/data/number"]
    assert shop.explain(shop.post(type="of.nobody", route=None)).schema is None


def test_an_origin_is_a_request_a_schedule_or_a_pipeline():
    shop = Shop()
    cause = shop.post()
    assert shop.explain(cause).origin == "request"
    assert shop.explain(shop.post(source="playhead:schedule/x")).origin == "schedule"
    assert shop.explain(shop.post(cause=cause, depth=1)).origin == "pipeline"


def test_causes_and_what_was_caused_are_told_both_ways():
    shop = Shop()
    first = shop.post()
    second = shop.post(cause=first, depth=1)
    third, sibling = (shop.post(cause=second, depth=2) for _ in range(2))
    fourth = shop.post(cause=third, depth=3)

    def family(event_id: str) -> tuple[list[str], list[str]]:
        causation = shop.explain(event_id).causation
        assert not causation.cut
        return [each.event_id for each in causation.causes], [each.event_id for each in causation.caused]

    assert family(first) == ([], [second, third, sibling, fourth])
    assert family(third) == ([first, second], [fourth])
    assert family(fourth) == ([first, second, third], [])


def test_a_follow_up_that_is_not_appended_yet_was_asked_for():
    shop = Shop(ask)
    event_id = shop.post()
    shop.run()

    [relative] = shop.explain(event_id).causation.caused
    assert (relative.type, relative.status, relative.position) == ("order.seen", ASKED_FOR, None)


def test_more_relatives_than_are_told_are_cut_and_said_to_be():
    shop = Shop()
    cause = shop.post()
    shop.append(MAX_RELATIVES, cause=cause, depth=1)
    assert (len(shop.explain(cause).causation.caused), shop.explain(cause).causation.cut) == (MAX_RELATIVES, False)
    shop.append(1, cause=cause, depth=1)
    assert (len(shop.explain(cause).causation.caused), shop.explain(cause).causation.cut) == (MAX_RELATIVES, True)


def test_the_index_is_asked_and_may_be_away():
    shop = Shop()
    event_id = shop.post()
    shop.run()
    assert shop.explain(event_id).index.status == "on its way"
    shop.indexed()
    assert shop.explain(event_id).index.status == "indexed"
    shop.index = Away()

    away = shop.explain(event_id)
    assert (away.index.status, away.index.detail) == ("away", "Elasticsearch cannot be reached: no route.")
    assert [attempt.status for attempt in away.attempts] == ["completed"]


def test_the_replays_that_select_an_event_are_told_with_its_end_in_them():
    shop = Shop()
    first, second = shop.post(), shop.post()
    replays = shop.store.replays
    for selection in (
        Selection(positions=(1,)),
        Selection(where={"type": "order.placed"}, after=1, last=2),
        Selection(where={"type": "order.seen"}),
        Selection(),
    ):
        replays.create(selection, {}, 1)

    assert [each.id for each in shop.explain(first).replays] == [1, 4]
    assert [each.id for each in shop.explain(second).replays] == [2, 4]
    assert {each.status for each in shop.explain(second).replays} == {None}
    shop.store.promotions.append(View(id=1, promoted=(4,), action="promote", generation=4))
    assert [each.promoted for each in shop.explain(second).replays] == [False, True]


def test_as_json_the_data_stands_to_the_letter():
    shop = Shop()
    text = '{"number": 4.00, "é": [1e2]}'
    event = NewEventFactory(data=text)
    shop.store.events.append([event])
    told = shop.explain(event.id).json

    assert f'"data":{text}' in told
    assert set(json.loads(told)) == {
        "event", "now", "origin", "task", "schema", "claim", "attempts", "decisions", "effects", "index", "replays",
        "causation",
    }  # fmt: skip


def test_an_unknown_event_is_not_found():
    with pytest.raises(NotFound):
        Shop().explain("0190d1a2-0000-7000-8000-000000000001")
