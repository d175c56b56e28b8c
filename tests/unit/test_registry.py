"""PipelineRegistry: one type, one pipeline."""

import pytest
from pydantic import BaseModel

from domain.errors import InvalidPipeline, NotFound, UnknownType
from domain.pipeline import Pipeline
from domain.registry import PipelineRegistry
from tests.factories import NewEventFactory, RecordedEventFactory


class Anything(BaseModel):
    pass


def accepting(name: str, *types: str) -> Pipeline:
    return Pipeline(name=name, accepts=dict.fromkeys(types, Anything))


ORDERS = accepting("orders", "order.placed", "order.cancelled")
BILLS = accepting("bills", "bill.sent")


def test_an_event_has_the_pipeline_that_accepts_its_type():
    registry = PipelineRegistry([ORDERS, BILLS])

    assert registry.get_pipeline(NewEventFactory(type="order.cancelled")) is ORDERS
    assert registry.get_pipeline(RecordedEventFactory(type="bill.sent", route="orders")) is BILLS


def test_all_pipelines_and_types_are_listed():
    registry = PipelineRegistry(iter([ORDERS, BILLS]))

    assert list(registry) == [ORDERS, BILLS]
    assert registry.types == ["order.placed", "order.cancelled", "bill.sent"]
    assert "bills" in registry
    assert "order.placed" not in registry


@pytest.mark.parametrize(
    ("type_", "named"),
    [("order.place", "order.placed"), ("orderplaced", "order.placed"), ("bil.sent", "bill.sent"), ("zzz", "bill.sent")],
)
def test_an_unknown_type_is_refused_with_the_nearest_known_names(type_, named):
    with pytest.raises(UnknownType, match=named) as raised:
        PipelineRegistry([ORDERS, BILLS]).pipeline_for(type_)

    assert repr(type_) in raised.value.detail


def test_an_empty_registry_says_that_nothing_is_loaded():
    with pytest.raises(UnknownType, match="no pipeline is loaded"):
        PipelineRegistry().pipeline_for("order.placed")


def test_a_pipeline_is_found_by_its_name_and_a_wrong_name_by_no_other():
    registry = PipelineRegistry([ORDERS, BILLS])

    assert registry.named("bills") is BILLS
    with pytest.raises(NotFound, match="bills, orders"):
        registry.named("bill")


def test_two_pipelines_of_one_name_are_refused():
    with pytest.raises(InvalidPipeline, match="'orders'"):
        PipelineRegistry([ORDERS, accepting("orders", "other")])


def test_two_pipelines_of_one_type_are_refused_with_both_names():
    with pytest.raises(InvalidPipeline, match=r"'orders' and 'returns' accept 'order\.cancelled'"):
        PipelineRegistry([ORDERS, accepting("returns", "order.cancelled")])
