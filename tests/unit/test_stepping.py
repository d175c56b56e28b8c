"""Stepping: forward and back through a run, with what each node was given and made."""

from typing import Any

import pytest
from pydantic import BaseModel

from application.ports.event_log import EventLog
from application.use_cases.stepping import Step, Stepper, StepThrough, step_through
from domain.context import TaskContext
from domain.errors import InvalidEvent, NotFound, UnknownType
from domain.nodes import Branches, Route
from domain.pipeline import FunctionNode, Node, Pipeline, node
from domain.registry import PipelineRegistry
from infrastructure.memory.store import MemoryStore
from playhead import EmitEvent, Schema
from playhead.testing import recorded
from tests.factories import NewEventFactory


class Order(BaseModel):
    number: int
    currency: str


def in_euro(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "currency": "EUR"}


class Ran:
    """The names of the nodes that ran, as often as they did."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def node(self, name: str, value: Any = 1) -> Node:
        def made(context: TaskContext) -> Any:
            self.names.append(name)
            return value(context) if callable(value) else value

        return FunctionNode(name, made)


ORDER = Schema(Order, version=2, upcasters={1: in_euro})


def stepper(*nodes: Node, number: int = 4, **options: Any) -> Stepper:
    pipeline = Pipeline("orders", {"order.placed": ORDER}, nodes)
    return Stepper(pipeline, recorded("order.placed", {"number": number}), **options)


def names(steps: Any) -> list[str]:
    return [step.node.name for step in steps]


def upcoming(found: Stepper) -> str | None:
    return found.upcoming and found.upcoming.node.name


def test_the_first_node_is_next_with_the_data_as_todays_schema_reads_it():
    found = stepper(Ran().node("a"))

    assert (upcoming(found), found.context.data, dict(found.context.outputs)) == (
        "a",
        Order(number=4, currency="EUR"),
        {},
    )


def test_each_step_tells_what_the_node_was_given_and_what_it_made():
    found = stepper(Ran().node("a", 2), Ran().node("b", lambda context: 3 * context.outputs["a"]))
    [a], [b] = found.next(), found.next()

    assert isinstance(a, Step)
    assert (dict(a.before.outputs), a.after and dict(a.after.outputs)) == ({}, {"a": 2})
    assert (dict(b.before.outputs), b.after and dict(b.after.outputs)) == ({"a": 2}, {"a": 2, "b": 6})
    assert (upcoming(found), dict(found.context.outputs), found.next()) == (None, {"a": 2, "b": 6}, [])


def test_back_stands_before_the_last_node_again_and_runs_no_node():
    ran = Ran()
    found = stepper(ran.node("a"), ran.node("b"), ran.node("c"))
    assert not found.back()
    found.run()
    assert (ran.names, upcoming(found)) == (["a", "b", "c"], None)

    assert [(found.back(), upcoming(found), len(found.context.outputs)) for _ in range(4)] == [
        (True, "c", 2), (True, "b", 1), (True, "a", 0), (False, "a", 0),
    ]  # fmt: skip
    assert ran.names == ["a", "b", "c"]


def test_a_node_that_is_stepped_over_again_runs_again_and_those_before_it_do_not():
    ran = Ran()
    found = stepper(ran.node("a"), ran.node("b"), ran.node("c"))
    found.next()
    found.next()
    found.back()
    found.next()

    assert (ran.names, upcoming(found)) == (["a", "b", "b"], "c")


def test_a_node_that_raises_is_next_still_and_one_may_go_back():
    fails = [True]
    ran = Ran()
    found = stepper(ran.node("a"), ran.node("b", lambda _: 1 // 0 if fails.pop() else 1), ran.node("c"))
    found.next()
    assert found.next() == []
    assert (type(found.failure), upcoming(found)) == (ZeroDivisionError, "b")
    assert found.back()
    assert (found.failure, upcoming(found)) == (None, "b")
    assert found.back()
    assert upcoming(found) == "a"
    fails.append(False)

    assert (names(found.run()), found.failure) == (["a", "b", "c"], None)


class Panic(BaseException):
    """As some extension modules raise it."""


@pytest.mark.parametrize("error", [Panic, SystemExit])
def test_whatever_a_node_raises_is_its_failure(error: type[BaseException]):
    def panic(_: TaskContext) -> None:
        raise error

    found = stepper(Ran().node("a", panic))
    found.next()

    assert (type(found.failure), upcoming(found)) == (error, "a")


def test_an_interrupt_is_passed_on_and_the_node_is_next_still():
    interrupts = [True]

    def interrupted(_: TaskContext) -> int:
        if interrupts.pop():
            raise KeyboardInterrupt
        return 1

    found = stepper(Ran().node("a"), Ran().node("b", interrupted))
    found.next()
    with pytest.raises(KeyboardInterrupt):
        found.next()
    assert (upcoming(found), found.failure, dict(found.context.outputs)) == ("b", None, {"a": 1})
    interrupts.append(False)
    assert names(found.next()) == ["b"]


def test_what_is_no_context_is_a_failure_of_the_node_that_made_it():
    class Wrong:
        name = "wrong"

        def __call__(self, context: TaskContext) -> Any:
            return 1

    found = stepper(Wrong())
    found.next()

    assert (type(found.failure), upcoming(found)) == (TypeError, "wrong")


def test_the_nodes_of_the_branch_that_is_taken_are_steps():
    ran = Ran()
    route = Route("size", lambda _: "big", {"big": (ran.node("b1"), ran.node("b2")), "small": (ran.node("s"),)})
    found = stepper(ran.node("a"), route, ran.node("z"))
    ended = [names(found.next()) for _ in range(5)]

    assert ended == [["a"], [], ["b1"], ["b2", "size"], ["z"]]
    assert [(step.node.name, step.inside) for step in found.taken] == [
        ("a", 0), ("size", 0), ("b1", 1), ("b2", 1), ("z", 0),
    ]  # fmt: skip
    assert dict(found.context.outputs) == {"a": 1, "size": "big", "b1": 1, "b2": 1, "z": 1}


def test_parallel_branches_are_stepped_through_one_after_the_other_none_seeing_the_other():
    ran = Ran()
    nodes = Branches("both", {"left": (ran.node("l", 1),), "right": (ran.node("r", 2),)}), ran.node("z")
    found = stepper(*nodes)
    found.next()
    found.next()
    assert (upcoming(found), dict(found.context.outputs)) == ("r", {})
    found.back()
    assert upcoming(found) == "l"

    assert names(found.run()) == ["l", "r", "both", "z"]
    plain = Pipeline("orders", {"order.placed": ORDER}, nodes).run(recorded("order.placed", {"number": 4}))
    assert found.context == plain


def test_nodes_inside_nodes_inside_nodes_are_steps_too():
    ran = Ran()
    inner = Route("inner", lambda _: "x", {"x": (ran.node("deep"),)})
    found = stepper(Branches("outer", {"one": (inner,)}))

    assert names(found.run()) == ["deep", "inner", "outer"]
    assert [step.inside for step in found.taken] == [0, 1, 2]


def test_a_choice_that_fails_is_the_failure_of_its_node():
    found = stepper(Route("size", lambda _: "none", {"big": ()}))
    found.next()

    assert (type(found.failure), upcoming(found)) == (LookupError, "size")


def test_a_run_goes_on_to_the_next_breakpoint():
    ran = Ran()
    found = stepper(*(ran.node(name) for name in "abcd"))
    assert (names(found.run({"a", "c"})), upcoming(found)) == (["a", "b"], "c")
    assert (names(found.run({"a", "c"})), upcoming(found)) == (["c", "d"], None)


def test_a_node_may_be_run_in_another_way_and_only_it():
    called: list[str] = []

    def loudly(inner: Node, context: TaskContext) -> TaskContext:
        called.append(inner.name)
        return inner(context)

    found = stepper(Ran().node("a"), Ran().node("b"), Ran().node("c"))
    found.next()
    found.next(loudly)
    found.next()

    assert called == ["b"]


def test_a_finished_run_is_checked():
    def refuse(context: TaskContext) -> None:
        raise ValueError(len(context.outputs))

    found = stepper(Ran().node("a"), check=refuse)
    found.run()
    assert (str(found.failure), upcoming(found)) == ("1", None)
    assert found.back()
    assert (found.failure, upcoming(found)) == (None, "a")


@node
def ask(context: TaskContext) -> TaskContext:
    return context.declare(EmitEvent(type="nobody.accepts", data={}))


class Elsewhere:
    """A store with one event, and two pipelines of which one accepts it."""

    def __init__(self, data: str = '{"number": 4}', *nodes: Node) -> None:
        self.event = NewEventFactory(data=data)
        self.store = MemoryStore()
        self.store.events.append([self.event])
        orders = Pipeline("orders", {"order.placed": ORDER}, nodes)
        self.registry = PipelineRegistry([orders, Pipeline("others", {"other.placed": ORDER})])

    def step(self, **command: Any) -> Stepper:
        events: EventLog = self.store.events
        asked = StepThrough(**{"event_id": self.event.id, **command})
        return step_through(asked, events=events, registry=self.registry, unknown_types="refuse")


def test_a_stored_event_is_stepped_through_the_pipeline_that_would_run_it():
    shop = Elsewhere()

    assert names(shop.step().run()) == names(shop.step(pipeline="orders").run()) == ["elasticsearch_index"]
    assert (shop.store.contexts.head(), shop.store.events.head()) == (0, 1)


def test_what_could_never_be_carried_out_is_refused_at_the_end_as_in_earnest():
    found = Elsewhere('{"number": 4}', ask).step()
    found.run()

    assert (type(found.failure), found.upcoming) == (UnknownType, None)


def test_what_cannot_be_stepped_through_is_refused():
    shop = Elsewhere()
    with pytest.raises(NotFound):
        shop.step(event_id="0190d1a2-0000-7000-8000-000000000001")
    with pytest.raises(NotFound):
        shop.step(pipeline="nobody")
    with pytest.raises(UnknownType, match="accepts other"):
        shop.step(pipeline="others")
    with pytest.raises(InvalidEvent):
        Elsewhere('{"number": "many"}').step()
