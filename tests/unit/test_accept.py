"""A submission becomes an event with its id, its route and its schema's version, or is refused."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from application.admission import Admission
from application.use_cases.events import accept
from domain.envelopes import Submission
from domain.errors import InvalidEvent, UnknownType
from domain.events import NewEvent
from domain.pipeline import Pipeline
from domain.registry import PipelineRegistry
from domain.upcasting import Schema
from infrastructure.memory.store import MemoryStore


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int = Field(ge=1)


SCHEMA = Schema(Order, version=2, upcasters={1: lambda data: {"number": data["id"]}})
REGISTRY = PipelineRegistry([Pipeline(name="orders", accepts={"order.placed": SCHEMA}, nodes=())])


def accepted(submission: Submission, **changes: Any) -> NewEvent:
    store = MemoryStore()
    options: dict[str, Any] = {
        "registry": REGISTRY,
        "unknown_types": "refuse",
        "admission": Admission(store.claims, store.events, limit=0),
        "new_id": lambda: "the id",
        **changes,
    }
    return accept(submission, **options)


def test_an_event_has_all_that_was_sent_its_id_its_route_and_todays_version():
    time = datetime(2026, 1, 1, tzinfo=UTC)
    submission = Submission(
        type="order.placed",
        data='{"number": 1e0}',
        source="shop",
        subject="s",
        time=time,
        key="k",
        not_before=time,
        expected_version=3,
        attributes={"trace": "x"},
    )

    assert accepted(submission) == NewEvent(
        id="the id",
        type="order.placed",
        data='{"number": 1e0}',
        source="shop",
        subject="s",
        time=time,
        key="k",
        not_before=time,
        expected_version=3,
        attributes={"trace": "x"},
        route="orders",
        schema_version=2,
    )


def test_data_of_an_older_version_is_not_taken_from_outside():
    with pytest.raises(InvalidEvent) as refused:
        accepted(Submission(type="order.placed", data='{"id": 1}'))

    assert {fault.pointer for fault in refused.value.faults} == {"/data/number", "/data/id"}


def test_wrong_data_is_refused_whatever_becomes_of_unknown_types():
    for unknown_types in ("refuse", "keep"):
        with pytest.raises(InvalidEvent) as refused:
            accepted(Submission(type="order.placed", data='{"number": 0}'), unknown_types=unknown_types)
        assert [fault.pointer for fault in refused.value.faults] == ["/data/number"]


def test_an_unknown_type_is_refused_with_the_nearest_names():
    with pytest.raises(UnknownType, match=r"'order\.place'.*order\.placed"):
        accepted(Submission(type="order.place", data="{}"))


def test_an_unknown_type_may_be_kept_unrouted():
    event = accepted(Submission(type="order.place", data="[1]"), unknown_types="keep")

    assert (event.route, event.schema_version, event.data) == (None, 1, "[1]")


def test_an_event_that_ends_in_order_cannot_be_due_later():
    lanes = PipelineRegistry([Pipeline(name="orders", accepts={"order.placed": SCHEMA}, lanes=4)])
    later = Submission(type="order.placed", data='{"number": 1}', not_before=datetime(2027, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidEvent) as refused:
        accepted(later, registry=lanes)
    assert [fault.pointer for fault in refused.value.faults] == ["/not_before"]
    assert accepted(later).not_before is not None
