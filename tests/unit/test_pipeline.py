"""Pipeline: an ordered fold of pure nodes; its names, its observer."""

from dataclasses import dataclass

import pytest

from domain.errors import InvalidEvent, InvalidPipeline, NewerSchema, PermanentError
from domain.nodes import Branches, Route
from domain.pipeline import RESERVED, FunctionNode, Node, NodeFailed, Pipeline, node, walk
from domain.upcasting import Schema
from tests.factories import RecordedEventFactory
from tests.unit.orders import Document, Order, document, double, pipeline, plus_one


def event(data: str = '{"number": 3}', **given):
    return RecordedEventFactory(data=data, **given)


# Running


def test_nodes_run_in_order_each_on_what_the_one_before_made():
    assert pipeline(double, plus_one).run(event()).outputs == {"double": 6, "plus_one": 7}


def test_a_pipeline_without_nodes_gives_the_event_alone():
    context = pipeline().run(given := event())

    assert (context.event, context.outputs, context.effects) == (given, {}, ())


def test_a_node_may_be_any_object_with_a_name():
    class Times:
        name = "times"

        def __call__(self, context):
            return context.with_output("times", context.data.number * 10)

    assert isinstance(Times(), Node)
    assert pipeline(Times()).run(event()).outputs == {"times": 30}


def test_data_is_read_by_the_schema_of_the_type_and_version():
    schema = Schema(Order, version=2, upcasters={1: lambda data: {"number": data["no"]}})
    versions = pipeline(double, accepts={"order.placed": schema})

    assert versions.run(event('{"no": 4}', schema_version=1)).outputs == {"double": 8}
    assert versions.run(event('{"number": 4}', schema_version=2)).outputs == {"double": 8}
    with pytest.raises(NewerSchema):
        versions.run(event(schema_version=3))


def test_data_that_does_not_fit_is_refused_before_any_node_runs():
    with pytest.raises(InvalidEvent) as refused:
        pipeline(double).run(event('{"number": "x", "more": 1}'))

    assert {fault.pointer for fault in refused.value.faults} == {"/data/number", "/data/more"}


def test_a_failing_node_is_named_with_the_context_that_it_received():
    @node
    def broken(context):
        return 1 / 0

    with pytest.raises(NodeFailed, match="'broken' raised ZeroDivisionError") as failed:
        pipeline(double, broken, plus_one).run(event())

    assert failed.value.node == "broken"
    assert isinstance(failed.value.__cause__, ZeroDivisionError)
    assert failed.value.context.outputs == {"double": 6}
    assert failed.value.context.node == "broken"


def test_an_output_without_a_json_form_fails_its_node_for_good():
    with pytest.raises(NodeFailed) as failed:
        pipeline(FunctionNode("bad", lambda _: float("nan"))).run(event())

    assert isinstance(failed.value.__cause__, PermanentError)


def test_an_object_that_gives_no_context_fails():
    class Forgetful:
        name = "forgetful"

        def __call__(self, context):
            return None

    with pytest.raises(NodeFailed, match="returns a TaskContext, not NoneType") as failed:
        pipeline(Forgetful()).run(event())

    assert failed.value.node == "forgetful"


def test_the_observer_hears_each_node_begin_and_the_end():
    heard: list[str] = []

    pipeline(double, Branches("both", {"a": (plus_one,)})).run(event(), heard.append)

    assert heard == ["double", "both", ""]


def test_the_observer_hears_no_end_of_a_run_that_fails():
    heard: list[str] = []

    with pytest.raises(NodeFailed):
        pipeline(plus_one, double).run(event(), heard.append)

    assert heard == ["plus_one"]


def test_two_runs_of_one_event_give_one_digest():
    @node
    def drawn(context):
        return [context.random().random(), context.id(), context.now.isoformat()]

    runs = [
        pipeline(drawn).run(event(id="01900000-0000-7000-8000-000000000001", subject="s", position=1)) for _ in "ab"
    ]

    assert runs[0].digest == runs[1].digest


# Building


def test_add_node_gives_a_new_pipeline_and_leaves_the_old_one():
    old = pipeline(double)

    new = old.add_node(plus_one)

    assert old.nodes == (double,)
    assert new.nodes == (double, plus_one)
    assert (new.name, new.accepts) == (old.name, old.accepts)


def test_a_model_stands_for_version_one_of_itself():
    assert pipeline().schemas == {"order.placed": Schema(Order)}


@pytest.mark.parametrize("name", ["", "Orders", "1st", "a-b", "a b", "ä", "a" * 64, "a\n", *RESERVED])
def test_a_pipeline_has_a_usable_name(name):
    with pytest.raises(InvalidPipeline, match="cannot name a pipeline"):
        pipeline(name=name)


def test_a_pipeline_accepts_some_type():
    with pytest.raises(InvalidPipeline, match="accepts no event type"):
        pipeline(accepts={})


@dataclass
class NoModel:
    number: int


@pytest.mark.parametrize(
    "schema", [NoModel, "Order", None, Order(number=1)], ids=["dataclass", "name", "none", "value"]
)
def test_a_schema_is_a_pydantic_model(schema):
    with pytest.raises(InvalidPipeline, match="is a pydantic model"):
        pipeline(accepts={"order.placed": schema})


def test_what_is_no_node_is_refused_at_the_start():
    with pytest.raises(InvalidPipeline, match="decorate a function with @node"):
        pipeline(double, len)
    with pytest.raises(InvalidPipeline, match="decorate a function with @node"):
        pipeline(Branches("both", {"a": (len,)}))
    with pytest.raises(InvalidPipeline, match="for one alone"):
        Pipeline("orders", {"order.placed": Order}, double)


def test_an_async_function_is_no_node():
    async def late(_):
        return 1

    async def later(_):
        yield 1

    for function in (late, later):
        with pytest.raises(InvalidPipeline, match="async"):
            node(function)


@pytest.mark.parametrize("name", ["", "1st", "a-b", "<lambda>", "a" * 101, "a\n"])
def test_a_node_has_a_usable_name(name):
    with pytest.raises(InvalidPipeline, match="cannot name a node"):
        pipeline(FunctionNode(name, len))


@pytest.mark.parametrize(
    "nodes",
    [
        (double, double),
        (double, Branches("double", {})),
        (double, Branches("both", {"a": (plus_one,), "b": (plus_one,)})),
        (Route("r", str, {"a": (double,)}, otherwise=(double,)),),
        (double, Branches("both", {"a": (Route("r", str, {"x": (double,)}),)})),
    ],
)
def test_a_node_name_stands_once_however_deep(nodes):
    with pytest.raises(InvalidPipeline, match="two nodes called"):
        pipeline(*nodes)


def test_all_nodes_are_found_those_inside_after_the_one_they_are_in():
    route = Route("r", str, {"a": (double,)}, otherwise=(FunctionNode("last", len),))

    names = [inner.name for inner in walk((Branches("both", {"x": (route,), "y": (plus_one,)}),))]

    assert names == ["both", "r", "double", "last", "plus_one"]


def test_the_document_must_say_which_model_it_returns():
    assert pipeline(document=document).document_model is Document
    for wrong in (lambda _: Document(number=1), str):
        with pytest.raises(InvalidPipeline, match="annotate"):
            pipeline(document=wrong)
