"""Upcasting: old shapes are lifted step by step, and only then judged by today's model."""

import pytest
from pydantic import BaseModel, ConfigDict

from domain.errors import InvalidEvent, InvalidPipeline, MalformedJson, NewerSchema
from domain.upcasting import Schema


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    lines: list[str]
    currency: str


def lines_of(data):
    return {"lines": [data["line"]]}


def in_euro(data):
    return {**data, "currency": "EUR"}


ORDER = Schema(Order, version=3, upcasters={1: lines_of, 2: in_euro})


@pytest.mark.parametrize(
    ("version", "data"),
    [
        (1, '{"line":"tea"}'),
        (2, '{"lines":["tea"]}'),
        (3, '{"lines":["tea"],"currency":"EUR"}'),
    ],
)
def test_data_of_every_version_is_read_as_todays(version, data):
    assert ORDER.read(data, version) == Order(lines=["tea"], currency="EUR")


def test_todays_data_meets_no_upcaster():
    with pytest.raises(InvalidEvent) as raised:
        ORDER.read('{"line":"tea"}', 3)

    assert {fault.pointer for fault in raised.value.faults} == {"/data/lines", "/data/currency", "/data/line"}


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ('{"lines":[1],"currency":"EUR"}', "/data/lines/0"),
        ('{"lines":"tea","currency":"EUR"}', "/data/lines"),
        ('{"lines":[]}', "/data/currency"),
        ('{"lines":[],"currency":"EUR","a/b~c":1}', "/data/a~1b~0c"),
        ("[]", "/data"),
        ("null", "/data"),
    ],
)
def test_wrong_data_is_refused_with_a_pointer_and_no_value(data, place):
    with pytest.raises(InvalidEvent) as raised:
        ORDER.read(data, 3)

    assert [fault.pointer for fault in raised.value.faults] == [place]
    assert "pydantic.dev" not in raised.value.detail


def test_lifted_data_is_judged_like_any_other():
    with pytest.raises(InvalidEvent) as raised:
        ORDER.read('{"line":7}', 1)

    assert [fault.pointer for fault in raised.value.faults] == ["/data/lines/0"]


def test_old_data_is_read_as_strictly_as_new():
    with pytest.raises(MalformedJson):
        ORDER.read('{"line":NaN}', 1)


def test_data_of_newer_code_is_told_from_wrong_data():
    with pytest.raises(NewerSchema, match="version 4"):
        ORDER.read('{"lines":[],"currency":"EUR"}', 4)


@pytest.mark.parametrize(
    ("version", "upcasters"),
    [(0, {}), (2, {}), (3, {1: lines_of}), (1, {1: lines_of}), (2, {1: lines_of, 2: in_euro}), (2, {0: lines_of})],
)
def test_a_schema_needs_exactly_one_upcaster_for_each_earlier_version(version, upcasters):
    with pytest.raises(InvalidPipeline, match="upcaster"):
        Schema(Order, version=version, upcasters=upcasters)
