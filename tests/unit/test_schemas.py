"""Schemas: whether this code reads what is stored, by type and version."""

import pytest
from pydantic import BaseModel, field_validator

from application.use_cases.schemas import CheckedShape, Unreadable, check_schemas, newer_shapes
from domain.pipeline import Pipeline
from domain.registry import PipelineRegistry
from infrastructure.memory.store import MemoryStore
from playhead import Schema
from tests.factories import NewEventFactory


class Order(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def _known(cls, number: int) -> int:
        return {13: []}.get(number, [number])[0]  # raises what pydantic lets pass


def lift(data):
    return {"number": data["no"]}


REGISTRY = PipelineRegistry(
    [Pipeline("orders", {"order.placed": Schema(Order, version=2, upcasters={1: lift}), "order.sent": Order})]
)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def append(store: MemoryStore, *data: str, **members) -> list[str]:
    events = [NewEventFactory(data=each, **members) for each in data]
    store.events.append(events)
    return [event.id for event in events]


def check(store: MemoryStore, **options) -> list[CheckedShape]:
    return list(check_schemas(events=store.events, registry=REGISTRY, **options))


def test_what_this_code_reads_is_counted_by_type_and_version(store: MemoryStore):
    append(store, '{"no": 1}', '{"no": 2}')
    append(store, '{"number": 3}', schema_version=2)

    old, new = check(store)

    assert old == CheckedShape(type="order.placed", schema_version=1, pipeline="orders", stored=2, checked=2)
    assert (new.schema_version, new.checked, new.failing, new.first) == (2, 1, 0, None)


def test_what_it_does_not_read_is_counted_with_the_first_event_the_place_and_why(store: MemoryStore):
    [_, first, _] = append(store, '{"number": 1}', '{"number": "x"}', '{"number": null}', schema_version=2)

    [found] = check(store)

    assert (found.stored, found.checked, found.failing) == (3, 3, 2)
    assert found.first is not None
    assert (found.first.event_id, found.first.position, found.first.pointer) == (first, 2, "/data/number")
    assert "valid integer" in found.first.message


def test_an_upcaster_that_fails_is_named_with_its_step(store: MemoryStore):
    append(store, '{"number": 1}')

    [found] = check(store)

    assert found.first is not None
    assert "from version 1 to 2, on data of version 1, raised KeyError: 'no'" in found.first.message


def test_whatever_a_users_validator_raises_is_a_failure(store: MemoryStore):
    [event_id] = append(store, '{"number": 13}', type="order.sent")

    [found] = check(store)

    assert found.first == Unreadable(
        event_id=event_id, position=1, pointer="", message="IndexError: list index out of range"
    )


def test_a_version_newer_than_this_code_fails_as_a_whole(store: MemoryStore):
    append(store, "{}", "{}", schema_version=3)

    [found] = check(store)

    assert (found.checked, found.failing) == (2, 2)
    assert [shape.count for shape in newer_shapes(store.events.shapes(), REGISTRY)] == [2]


def test_a_type_without_a_pipeline_is_told_and_not_read(store: MemoryStore):
    append(store, "{}", type="order.lost")

    assert check(store) == [CheckedShape(type="order.lost", schema_version=1, pipeline=None, stored=1)]
    assert newer_shapes(store.events.shapes(), REGISTRY) == []


def test_a_sample_reaches_from_the_first_event_to_the_last_and_all_is_all(store: MemoryStore):
    good = ['{"number": 1}'] * 10
    append(store, '{"number": "x"}', *good, '{"number": "x"}', *good, '{"number": "x"}', schema_version=2)

    [ends], [middle], [everything] = check(store, sample=2), check(store, sample=3), check(store, sample=None)

    assert [(each.checked, each.failing) for each in (ends, middle, everything)] == [(2, 2), (3, 3), (23, 3)]
