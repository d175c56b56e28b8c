"""Upcasting: old shapes are lifted step by step, and only then judged by today's model."""

from datetime import datetime

import pytest
from pydantic import BaseModel, ConfigDict

from domain.errors import InvalidEvent, InvalidPipeline, MalformedJson, NewerSchema, UpcastFailed
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
    assert ORDER.read("order.placed", data, version) == Order(lines=["tea"], currency="EUR")


def test_todays_data_meets_no_upcaster():
    with pytest.raises(InvalidEvent) as raised:
        ORDER.read("order.placed", '{"line":"tea"}', 3)

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
        ORDER.read("order.placed", data, 3)

    assert [fault.pointer for fault in raised.value.faults] == [place]
    assert "pydantic.dev" not in raised.value.detail


def test_lifted_data_is_judged_like_any_other():
    with pytest.raises(InvalidEvent) as raised:
        ORDER.read("order.placed", '{"line":7}', 1)

    assert [fault.pointer for fault in raised.value.faults] == ["/data/lines/0"]


def test_old_data_is_read_as_strictly_as_new():
    with pytest.raises(MalformedJson):
        ORDER.read("order.placed", '{"line":NaN}', 1)


def test_data_of_newer_code_is_told_from_wrong_data():
    with pytest.raises(NewerSchema, match="version 4"):
        ORDER.read("order.placed", '{"lines":[],"currency":"EUR"}', 4)


@pytest.mark.parametrize(
    ("version", "upcasters"),
    [(0, {}), (2, {}), (3, {1: lines_of}), (1, {1: lines_of}), (2, {1: lines_of, 2: in_euro}), (2, {0: lines_of})],
)
def test_a_schema_needs_exactly_one_upcaster_for_each_earlier_version(version, upcasters):
    with pytest.raises(InvalidPipeline, match="upcaster"):
        Schema(Order, version=version, upcasters=upcasters)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda _: None, "TypeError: an upcaster returns an object, not NoneType"),
        (lambda _: ["tea"], "TypeError: an upcaster returns an object, not list"),
        (lambda data: {"lines": data["lime"]}, "KeyError: 'lime'"),
        (lambda _: {"lines": [float("nan")]}, "ValueError"),
        (lambda _: {"lines": object()}, "Unable to serialize"),
        (lambda _: {"lines": "\ud800"}, "surrogates"),
    ],
)
def test_an_upcaster_that_raises_or_makes_nonsense_is_named_with_type_version_and_step(made, said):
    order = Schema(Order, version=3, upcasters={1: lambda data: data, 2: made})

    with pytest.raises(UpcastFailed) as raised:
        order.read("order.placed", '{"line":"tea"}', 1)

    assert "'order.placed' from version 2 to 3, on data of version 1" in raised.value.detail
    assert said in raised.value.detail


def test_lifted_data_that_does_not_fit_names_the_type_and_its_version():
    with pytest.raises(InvalidEvent, match=r"'order.placed', lifted from version 1: /data/lines/0: "):
        ORDER.read("order.placed", '{"line":7}', 1)


def test_lifted_data_is_read_as_json_is_however_strict_the_model():
    class Due(BaseModel):
        model_config = ConfigDict(strict=True)

        at: datetime
        lines: tuple[str, ...]

    due = Schema(Due, version=2, upcasters={1: lambda data: {**data, "lines": ["tea"]}})

    assert due.read("order.due", '{"at":"2026-01-01T00:00:00Z","lines":["tea"]}', 2) == due.read(
        "order.due", '{"at":"2026-01-01T00:00:00Z"}', 1
    )


def test_what_an_upcaster_makes_is_given_to_the_next_as_json_has_it():
    seen = []

    def look(data):
        seen.append(data)
        return data

    order = Schema(Order, version=3, upcasters={1: lambda _: {"lines": ("tea",), "currency": "EUR"}, 2: look})
    order.read("order.placed", "{}", 1)

    assert seen == [{"lines": ["tea"], "currency": "EUR"}]


def test_an_upcaster_must_be_a_function():
    with pytest.raises(InvalidPipeline, match=r"upcasters\[1\] is None"):
        Schema(Order, version=2, upcasters={1: None})
