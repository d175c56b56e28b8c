"""Nodes of general use: Route, Branches, ElasticsearchIndexNode."""

from datetime import UTC, date, datetime
from typing import Annotated

import pytest
from pydantic import BaseModel, PlainSerializer

from domain.context import TaskContext
from domain.effects import EmitEvent, IndexDocument
from domain.nodes import Branches, ElasticsearchIndexNode, Route
from domain.pipeline import FunctionNode, NodeFailed, Pipeline, fold
from tests.factories import RecordedEventFactory


class Anything(BaseModel):
    pass


def constant(name: str, value=None) -> FunctionNode:
    return FunctionNode(name, lambda _: value if value is not None else name)


def emitting(name: str) -> FunctionNode:
    return FunctionNode(name, lambda context: context.declare(EmitEvent(type=name, data={})).with_output(name, name))


def seeing(name: str) -> FunctionNode:
    """Its output is the names of the outputs that it sees."""
    return FunctionNode(name, lambda context: sorted(context.outputs))


def failing(name: str) -> FunctionNode:
    def fail(context):
        raise ValueError(name)

    return FunctionNode(name, fail)


def ran(*nodes) -> TaskContext:
    return fold(nodes, TaskContext(event=RecordedEventFactory()))


# Route


def by_size(context: TaskContext) -> str:
    return context.outputs["size"]


ROUTE = Route("route", by_size, {"small": (constant("pack"),), "large": (constant("crate"), constant("lift"))})


@pytest.mark.parametrize(
    ("size", "outputs"),
    [
        ("small", {"size": "small", "route": "small", "pack": "pack"}),
        ("large", {"size": "large", "route": "large", "crate": "crate", "lift": "lift"}),
    ],
)
def test_a_route_runs_the_chosen_branch_alone_and_keeps_the_choice(size, outputs):
    assert ran(constant("size", size), ROUTE).outputs == outputs


def test_a_choice_without_a_branch_runs_otherwise():
    route = Route("route", by_size, ROUTE.branches, otherwise=(constant("ask"),))

    assert ran(constant("size", "huge"), route).outputs == {"size": "huge", "route": "huge", "ask": "ask"}


def test_an_empty_otherwise_does_nothing():
    route = Route("route", by_size, ROUTE.branches, otherwise=())

    assert ran(constant("size", "huge"), route).outputs == {"size": "huge", "route": "huge"}


def test_a_choice_without_any_branch_fails_and_names_those_there_are():
    with pytest.raises(NodeFailed, match="'huge'; there are 'small', 'large'") as failed:
        ran(constant("size", "huge"), ROUTE)

    assert failed.value.node == "route"
    assert isinstance(failed.value.__cause__, LookupError)


def test_nodes_after_a_route_see_what_its_branch_made():
    assert ran(constant("size", "small"), ROUTE, seeing("after")).outputs["after"] == ["pack", "route", "size"]


def test_a_failure_inside_a_branch_names_the_inner_node():
    with pytest.raises(NodeFailed) as failed:
        ran(Route("route", lambda _: "a", {"a": (constant("first"), failing("inner"))}))

    assert failed.value.node == "inner"
    assert failed.value.context.outputs == {"route": "a", "first": "first"}


# Branches


def test_no_branch_sees_what_another_made_and_all_see_what_came_before():
    branches = Branches("both", {"left": (seeing("a"), seeing("b")), "right": (seeing("c"),)})

    context = ran(constant("before"), branches, seeing("after"))

    assert context.outputs == {
        "before": "before",
        "both": ["left", "right"],
        "a": ["before"],
        "b": ["a", "before"],
        "c": ["before"],
        "after": ["a", "b", "before", "both", "c"],
    }


def test_outputs_and_effects_are_joined_in_the_order_of_the_branches():
    branches = Branches("both", {"z": (emitting("y"), emitting("x")), "a": (emitting("c"), emitting("b"))})

    context = ran(emitting("first"), branches, emitting("last"))

    assert list(context.outputs) == ["first", "both", "y", "x", "c", "b", "last"]
    assert [effect.type for effect in context.effects] == ["first", "y", "x", "c", "b", "last"]
    assert [effect.node for effect in context.effects] == ["first", "y", "x", "c", "b", "last"]


def test_branches_keep_the_event_and_its_data():
    pipeline = Pipeline(
        name="p",
        accepts={"order.placed": Anything},
        nodes=(Branches("both", {"a": (constant("x"),)}), FunctionNode("seen", lambda c: type(c.data).__name__)),
    )
    event = RecordedEventFactory(data="{}")

    context = pipeline.run(event)

    assert context.event is event
    assert context.outputs["seen"] == "Anything"


def test_branches_inside_branches_are_joined_too():
    inner = Branches("inner", {"a": (constant("x"),), "b": (seeing("y"),)})

    context = ran(Branches("outer", {"left": (inner,), "right": (seeing("z"),)}))

    assert context.outputs == {"outer": ["left", "right"], "inner": ["a", "b"], "x": "x", "y": [], "z": []}


def test_a_failing_branch_fails_the_run_and_names_the_inner_node():
    with pytest.raises(NodeFailed) as failed:
        ran(Branches("both", {"left": (constant("a"),), "right": (failing("b"),)}))

    assert failed.value.node == "b"


@pytest.mark.parametrize(
    ("nodes", "digests"),
    [((constant("a"), constant("b")), 1), ((constant("b"), constant("a")), 1)],
)
def test_the_same_branches_give_the_same_digest_each_time(nodes, digests):
    event = RecordedEventFactory()
    branches = Branches("both", {"left": nodes[:1], "right": nodes[1:]})

    made = {fold((branches,), TaskContext(event=event)).digest for _ in range(5)}

    assert len(made) == digests


# ElasticsearchIndexNode


class Found(BaseModel):
    total: float
    cents: Annotated[int, PlainSerializer(str, when_used="json")] = 200
    day: date
    at: datetime


def document(context: TaskContext) -> Found:
    return Found(total=context.outputs["total"], day=date(2026, 1, 1), at=datetime(2026, 1, 1, tzinfo=UTC))


def test_the_index_node_declares_the_document_as_plain_json():
    context = ran(constant("total", 2), ElasticsearchIndexNode(document))

    [effect] = context.effects
    assert effect == IndexDocument(
        node="elasticsearch_index",
        document={"total": 2.0, "cents": "200", "day": "2026-01-01", "at": "2026-01-01T00:00:00Z"},
    )
    assert context.outputs == {"total": 2}


def test_without_a_document_the_event_itself_is_made_searchable():
    assert ran(ElasticsearchIndexNode()).effects == (IndexDocument(node="elasticsearch_index", document={}),)


def test_a_document_that_cannot_be_made_fails_the_run():
    with pytest.raises(NodeFailed, match="KeyError") as failed:
        ran(ElasticsearchIndexNode(document))

    assert failed.value.node == "elasticsearch_index"


def test_the_index_node_may_have_a_name_of_its_own():
    assert ran(ElasticsearchIndexNode(name="search")).effects[0].node == "search"
