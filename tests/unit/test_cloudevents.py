"""CloudEvents, structured and binary. The official SDK is the oracle for what is sent well."""

import json
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from domain.envelopes import Submission, cloudevent, cloudevent_binary
from domain.errors import InvalidEvent, MalformedJson, UnsupportedMedia

NEW_YEAR = datetime(2026, 1, 1, 9, 30, tzinfo=UTC)
BINARY = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop", "ce-type": "order.placed"}
JSON_BINARY = BINARY | {"content-type": "application/json"}
STRUCTURED = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed"}


def places(raised) -> set[str]:
    return {fault.pointer for fault in raised.value.faults}


# CloudEvents, structured


def sdk_event(**attributes) -> CloudEvent:
    given = {"id": "A-1", "source": "/shop", "type": "order.placed", "time": NEW_YEAR, **attributes}
    return CloudEvent(attributes=given, data={"total": 12.5, "note": "grüße 😀"})


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"subject": "order-7"},
        {"subject": 'Euro € 😀 "quoted" 100%'},
        {"datacontenttype": "application/json"},
        {"datacontenttype": "application/vnd.shop+json", "dataschema": "https://example.com/order"},
        {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "comexample1": "é"},
    ],
)
@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_what_the_official_sdk_sends_is_read_as_it_was_meant(attributes, mode):
    event = sdk_event(**attributes)
    if mode == "structured":
        read = cloudevent(to_structured_event(event).body.decode())
    else:
        message = to_binary_event(event)
        # The SDK's binary message has a content type only where the event has one.
        read = cloudevent_binary({"content-type": "application/json", **message.headers}, message.body)

    assert json.loads(read.data) == event.get_data()
    assert (read.key, read.source, read.type) == ("A-1", "/shop", "order.placed")
    assert read.time == NEW_YEAR
    assert read.subject == attributes.get("subject", "")
    extensions = {name: value for name, value in attributes.items() if name != "subject"}
    assert {"datacontenttype": "application/json", **read.attributes} == {
        "datacontenttype": "application/json",
        **extensions,
    }


def test_a_cloudevent_keeps_its_attributes_and_the_exact_text_of_its_data():
    text = json.dumps(STRUCTURED | {"n": -5, "flag": True, "dataschema": "urn:order"})[:-1] + ', "data":[1e2, 1.50]}'

    read = cloudevent(text)

    assert read.attributes == {"n": -5, "flag": True, "dataschema": "urn:order"}
    assert read.data == "[1e2, 1.50]"


def test_a_null_attribute_counts_as_absent_and_null_data_as_null():
    read = cloudevent(json.dumps(STRUCTURED | {"subject": None, "time": None, "traceparent": None, "data": None}))

    assert read == Submission(type="order.placed", source="/shop", key="1", data="null")


def test_a_cloudevent_without_data_is_read_as_null():
    assert cloudevent(json.dumps(STRUCTURED)).data == "null"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"specversion": None}, {"/specversion"}),
        ({"specversion": "0.3"}, {"/specversion"}),
        ({"specversion": 1.0}, {"/specversion"}),
        ({"id": None}, {"/id"}),
        ({"id": ""}, {"/id"}),
        ({"id": 7}, {"/id"}),
        ({"id": "a\nb"}, {"/id"}),
        ({"id": "x" * 201}, {"/id"}),
        ({"source": None}, {"/source"}),
        ({"source": ""}, {"/source"}),
        ({"source": "\x00"}, {"/source"}),
        ({"type": None}, {"/type"}),
        ({"type": True}, {"/type"}),
        ({"subject": ""}, {"/subject"}),
        ({"subject": 5}, {"/subject"}),
        ({"time": "today"}, {"/time"}),
        ({"dataschema": ""}, {"/dataschema"}),
        ({"dataschema": 5, "datacontenttype": 5}, {"/dataschema", "/datacontenttype"}),
        ({"Upper": "x"}, {"/Upper"}),
        ({"not_before": "2026-01-01T09:30:00Z"}, {"/not_before"}),
        ({"x" * 21: "x"}, {"/" + "x" * 21}),
        ({"ratio": 1.5}, {"/ratio"}),
        ({"big": 2**31}, {"/big"}),
        ({"list": []}, {"/list"}),
        ({"bell": "\x07"}, {"/bell"}),
        ({"specversion": "2", "id": "", "ratio": 0.1}, {"/specversion", "/id", "/ratio"}),
    ],
)
def test_a_wrong_cloudevent_is_refused_with_a_pointer_to_each_fault(changed, expected):
    with pytest.raises(InvalidEvent) as raised:
        cloudevent(json.dumps(STRUCTURED | changed))

    assert places(raised) == expected


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"data_base64": "e30="}, "/data_base64"),
        ({"datacontenttype": "text/xml", "data": "<a/>"}, "/datacontenttype"),
        ({"datacontenttype": "application/json; charset=utf-16", "data": 1}, "/datacontenttype"),
    ],
)
def test_data_that_is_not_json_is_not_supported(changed, place):
    with pytest.raises(UnsupportedMedia) as raised:
        cloudevent(json.dumps(STRUCTURED | changed))

    assert places(raised) == {place}


# CloudEvents, binary


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        ("order-7", "order-7"),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),  # the example of the specification
        ("%e2%82%ac", "€"),
        ("%41", "A"),
        ("%2541", "%41"),
        ("plain words", "plain words"),
        ('"with \\"quotes\\""', 'with "quotes"'),
        ('"50%25"', "50%"),
        ('"never \\"closed', '"never \\"closed'),
        ('"closed" "not', 'closed "not'),
    ],
)
def test_a_header_is_unquoted_and_percent_decoded_once(value, subject):
    assert cloudevent_binary(JSON_BINARY | {"ce-subject": value}, b"1").subject == subject


def test_a_quoted_string_that_is_never_closed_is_read_in_no_time():
    """From each quote in it anew, that would be half a minute, in which nothing else is answered."""
    began = time.process_time()
    with suppress(InvalidEvent):
        cloudevent_binary(JSON_BINARY | {"ce-subject": '"' + '\\"' * 32_000}, b"1")

    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"ce-subject": "%C0%A0"}, {"/headers/ce-subject"}),  # overlong, refused by the specification
        ({"ce-subject": "%ED%A0%80"}, {"/headers/ce-subject"}),
        ({"ce-subject": "100%"}, {"/headers/ce-subject"}),
        ({"ce-subject": "%zz"}, {"/headers/ce-subject"}),
        ({"ce-subject": "é"}, {"/headers/ce-subject"}),
        ({"ce-subject": "%00"}, {"/headers/ce-subject"}),
        ({"ce-subject": ""}, {"/headers/ce-subject"}),
        ({"ce-specversion": "0.3"}, {"/headers/ce-specversion"}),
        ({"ce-id": ""}, {"/headers/ce-id"}),
        ({"ce-source": "%"}, {"/headers/ce-source"}),
        ({"ce-time": "noon"}, {"/headers/ce-time"}),
        ({"ce-a_b": "x"}, {"/headers/ce-a_b"}),
        ({"ce-": "x"}, {"/headers/ce-"}),
        ({"ce-data": "x"}, {"/headers/ce-data"}),
        ({"ce-datacontenttype": "application/json"}, {"/headers/ce-datacontenttype"}),
        ({"Ce-Type": "twice"}, {"/headers/ce-type"}),
    ],
)
def test_a_wrong_header_is_refused_with_a_pointer(changed, expected):
    with pytest.raises(InvalidEvent) as raised:
        cloudevent_binary(JSON_BINARY | changed, b"1")

    assert places(raised) == expected


def test_missing_headers_are_named_all_at_once():
    with pytest.raises(InvalidEvent) as raised:
        cloudevent_binary({"content-type": "application/json"}, b"1")

    assert places(raised) == {f"/headers/ce-{name}" for name in ("specversion", "id", "source", "type")}


def test_header_names_may_be_in_any_case():
    shouted = {name.upper(): value for name, value in JSON_BINARY.items()}

    assert cloudevent_binary(shouted, b"1") == cloudevent_binary(JSON_BINARY, b"1")


def test_a_binary_event_keeps_the_exact_text_of_its_body():
    read = cloudevent_binary(JSON_BINARY, b'\n {"total": 1e2, "note": "gr\xc3\xbc\xc3\x9fe"} \r\n')

    assert read.data == '{"total": 1e2, "note": "grüße"}'
    assert read.attributes == {"datacontenttype": "application/json"}


def test_an_empty_body_is_read_as_null_with_or_without_a_content_type():
    assert cloudevent_binary(BINARY, b"").data == "null"
    assert cloudevent_binary(JSON_BINARY, b"").data == "null"


@pytest.mark.parametrize("body", [b"{", b'{"a": NaN}', b'{"a":1,"a":2}', b"\xff", b"\xef\xbb\xbf1", b"1 2"])
def test_a_body_that_is_not_strict_json_is_refused(body):
    with pytest.raises(MalformedJson):
        cloudevent_binary(JSON_BINARY, body)


def test_the_pointer_into_a_body_begins_at_data():
    with pytest.raises(MalformedJson) as raised:
        cloudevent_binary(JSON_BINARY, b'{"a": [1, NaN]}')

    assert places(raised) == {"/data/a/1"}


@pytest.mark.parametrize(
    "headers",
    [BINARY, BINARY | {"content-type": "text/plain"}, BINARY | {"content-type": "application/json; charset=latin-1"}],
)
def test_a_body_that_is_not_said_to_be_json_is_not_supported(headers):
    with pytest.raises(UnsupportedMedia) as raised:
        cloudevent_binary(headers, b"1")

    assert places(raised) == {"/headers/content-type"}
