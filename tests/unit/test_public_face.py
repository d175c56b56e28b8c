"""The public face: what a user's package imports, and what its tests are written with."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import BaseModel

import playhead
import playhead.testing
from playhead import EmitEvent, Pipeline, TaskContext, node
from playhead.testing import EPOCH, InvalidEvent, NodeFailed, recorded, run


class Order(BaseModel):
    number: int


@node
def double(context: TaskContext) -> int:
    return 2 * context.data.number


ORDERS = Pipeline(name="orders", accepts={"order.placed": Order}, nodes=(double,))


@pytest.mark.parametrize("module", [playhead, playhead.testing], ids=lambda module: module.__name__)
def test_everything_that_is_promised_can_be_imported(module):
    for name in module.__all__:
        assert getattr(module, name) is not None, name
    assert list(module.__all__) == sorted(module.__all__)


@pytest.mark.parametrize(
    "name", ["Node", "node", "Pipeline", "PipelineRegistry", "TaskContext", "EmitEvent", "IndexDocument"]
)
def test_the_words_of_the_documentation_are_there(name):
    assert name in playhead.__all__


def test_a_pipeline_is_run_over_data_without_any_service():
    assert run(ORDERS, {"number": 4}).outputs == {"double": 8}
    assert run(ORDERS, '{"number": 5}').outputs == {"double": 10}


def test_the_event_of_a_test_is_whole_and_always_the_same():
    event = recorded("order.placed", {"number": 4}, subject="order-4")

    assert event == recorded("order.placed", {"number": 4}, subject="order-4")
    assert event.data == '{"number":4}'
    assert (event.time, event.recorded_at, event.position) == (EPOCH, EPOCH, 1)
    assert UUID(event.id).version == 7
    assert event.id != recorded("order.placed", {"number": 4}, position=2).id


def test_the_parts_of_an_event_may_be_chosen():
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)

    context = run(ORDERS, {"number": 1}, subject="s", source="shop", time=noon, recorded_at=EPOCH, position=9)

    assert (context.event.subject, context.event.source, context.event.position) == ("s", "shop", 9)
    assert (context.event.time, context.now) == (noon, EPOCH)


def test_a_pipeline_of_several_types_is_asked_which_one_is_meant():
    both = Pipeline(name="both", accepts={"a": Order, "b": Order}, nodes=(double,))

    assert run(both, {"number": 1}, type="b").event.type == "b"
    with pytest.raises(ValueError):
        run(both, {"number": 1})


def test_what_may_go_wrong_can_be_told_apart():
    @node
    def broken(context: TaskContext) -> None:
        raise KeyError("price")

    with pytest.raises(InvalidEvent):
        run(ORDERS, {"number": "four"})
    with pytest.raises(NodeFailed) as failed:
        run(ORDERS.add_node(broken), {"number": 4})
    assert isinstance(failed.value.__cause__, KeyError)


def test_a_declared_effect_is_seen_in_the_context():
    @node
    def emit(context: TaskContext) -> TaskContext:
        return context.declare(EmitEvent(type="order.doubled", data={"number": context.outputs["double"]}))

    [effect] = run(ORDERS.add_node(emit), {"number": 4}).effects

    assert effect == EmitEvent(node="emit", type="order.doubled", data={"number": 8})
