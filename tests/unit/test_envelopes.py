"""The plain form in which an event comes in, and what every form refuses."""

from datetime import UTC, datetime

import pytest

from domain.envelopes import Submission, cloudevent, is_json, plain
from domain.errors import InvalidEvent, MalformedJson

NEW_YEAR = datetime(2026, 1, 1, 9, 30, tzinfo=UTC)


def places(raised) -> set[str]:
    return {fault.pointer for fault in raised.value.faults}


def test_a_plain_event_needs_no_more_than_a_type_and_data():
    assert plain('{"type":"order.placed","data":{}}') == Submission(type="order.placed", data="{}")


def test_every_member_of_a_plain_event_is_read():
    text = """{"type": "order.placed", "source": "shop", "subject": "order-7", "time": "2026-01-01T10:30:00+01:00",
               "not_before": "2026-01-01T09:30:00.000Z", "expected_version": 41, "data": [1]}"""

    assert plain(text) == Submission(
        type="order.placed",
        source="shop",
        subject="order-7",
        time=NEW_YEAR,
        not_before=NEW_YEAR,
        expected_version=41,
        data="[1]",
    )


@pytest.mark.parametrize(
    "data", ['{"a": 1e2,\n "b" :[ ]}', "12345678901234567890", "1.50", '"\\u0000é\\/"', "null", " true ".strip()]
)
def test_the_data_keeps_its_exact_text(data):
    assert plain(f'{{"data" : {data} , "type":"t"}}').data == data


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", {"/type", "/data"}),
        ('{"type":"t"}', {"/data"}),
        ('{"type":"","data":1}', {"/type"}),
        ('{"type":7,"data":1}', {"/type"}),
        ('{"type":null,"data":1}', {"/type"}),
        ('{"type":"t","source":["s"],"data":1}', {"/source"}),
        ('{"type":"t","subject":null,"data":1}', {"/subject"}),
        ('{"type":"t","time":1767259800,"data":1}', {"/time"}),
        ('{"type":"t","time":"yesterday","data":1}', {"/time"}),
        ('{"type":"t","time":"2026-01-01T09:30:00","data":1}', {"/time"}),
        ('{"type":"t","time":"2026-02-30T09:30:00Z","data":1}', {"/time"}),
        ('{"type":"t","time":"0001-01-01T00:00:00+01:00","data":1}', {"/time"}),
        ('{"type":"t","time":"٢٠٢٦-01-01T00:00:00Z","data":1}', {"/time"}),
        ('{"type":"t","not_before":{},"data":1}', {"/not_before"}),
        ('{"type":"t","key":"k","data":1}', {"/key"}),
        ('{"type":"t","data":1,"a/b":1,"c~d":2}', {"/a~1b", "/c~0d"}),
        ('{"type":"t","subject":"s","expected_version":-1,"data":1}', {"/expected_version"}),
        ('{"type":"t","subject":"s","expected_version":1.0,"data":1}', {"/expected_version"}),
        ('{"type":"t","subject":"s","expected_version":true,"data":1}', {"/expected_version"}),
        ('{"type":"t","subject":"s","expected_version":"1","data":1}', {"/expected_version"}),
        ('{"type":"t","subject":"s","expected_version":9223372036854775808,"data":1}', {"/expected_version"}),
        ('{"type":"t","expected_version":0,"data":1}', {"/expected_version"}),
        ('{"type":"t\\u0000","data":1}', {"/type"}),
        ('{"type":"é","data":1}', {"/type"}),
        ('{"type":"t","source":"a\\nb","data":1}', {"/source"}),
        ('{"type":"t","subject":"a\\u0000b","data":1}', {"/subject"}),
        (f'{{"type":"t","subject":"{"s" * 513}","data":1}}', {"/subject"}),
        ('{"type":1,"time":2,"source":3,"who":4}', {"/type", "/time", "/source", "/who", "/data"}),
    ],
)
def test_a_plain_event_of_another_shape_is_refused_with_a_pointer_to_each_fault(text, expected):
    with pytest.raises(InvalidEvent) as raised:
        plain(text)

    assert places(raised) == expected


@pytest.mark.parametrize("read", [plain, cloudevent])
@pytest.mark.parametrize("text", ["", "[]", "1", "null", '"{}"', "{", '{"a":1}x'])
def test_what_is_not_one_json_object_is_no_event(read, text):
    with pytest.raises(MalformedJson):
        read(text)


def test_expected_version_zero_says_that_there_is_no_event_yet():
    assert plain('{"type":"t","subject":"s","expected_version":0,"data":1}').expected_version == 0


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON ; charset=UTF-8", True),
        ('application/json; profile="x"; charset="utf-8"', True),
        ("text/json", True),
        ("application/vnd.shop+json", True),
        ("application/json; charset=utf-16", False),
        ("application/jsonp", False),
        ("json", False),
        ("text/plain", False),
        ("", False),
    ],
)
def test_json_is_told_by_its_content_type(media_type, expected):
    assert is_json(media_type) is expected
