"""Bad input: the right 4xx with a pointer to the place, nothing stored, on both databases alike."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.http import (
    JSON,
    NDJSON,
    Http,
    event,
    flight,
    pointers,
    problem,
    served,
    text,
)

BINARY = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "nyc", "ce-type": "flight.recorded"}


def with_data(data: str) -> str:
    """An event in whose place of data this text stands."""
    return f'{{"type":"flight.recorded","data":{data}}}'


MALFORMED = {
    "nothing": ("", ""),
    "white space": ("  ", ""),
    "cut off": ('{"type":"flight.recorded"', ""),
    "trailing comma": ('{"type":"flight.recorded",}', ""),
    "more text": (text() + "x", ""),
    "an array": ("[]", ""),
    "a number": ("7", ""),
    "NaN": (with_data('{"distance":NaN}'), "/data/distance"),
    "-Infinity": (with_data("[-Infinity]"), "/data/0"),
    "1e400": (with_data('{"distance":1e400}'), "/data/distance"),
    "too many digits": (with_data('{"n":' + "1" * 401 + "}"), "/data/n"),
    "a name twice": (with_data('{"a":{"b":1,"b":2}}'), "/data/a/b"),
    "a name of the envelope twice": ('{"type":"x","type":"flight.recorded","data":1}', "/type"),
    "lone surrogate": (with_data('{"carrier":"\\ud800"}'), "/data/carrier"),
    "lone surrogate in a name": (with_data('{"\\udc00":1}'), "/data"),
    "single quotes": ("{'type':'x'}", ""),
    "control character in a string": (with_data('"a\nb"'), "/data"),
    "byte-order mark": (b"\xef\xbb\xbf" + text().encode(), ""),
    "UTF-16": (text().encode("utf-16"), ""),
    "UTF-16 without a mark": (text().encode("utf-16-le"), ""),
    "bad UTF-8": (text().encode().replace(b"UA", b"U\xff"), ""),
    "overlong UTF-8": (text().encode().replace(b"UA", b"\xc0\x80"), ""),
    "surrogate in UTF-8": (text().encode().replace(b"UA", b"\xed\xa0\x80"), ""),
    "65 levels": (with_data("[" * 65 + "]" * 65), "/data" + "/0" * 64),
    "100,000 levels": (with_data("[" * 100_000 + "]" * 100_000), "/data" + "/0" * 64),
    "100,000 open arrays": ("[" * 100_000, "/0" * 64),
}


@pytest.mark.parametrize(("body", "place"), MALFORMED.values(), ids=MALFORMED)
def test_text_that_is_not_strict_json_is_refused_with_its_place(http: Http, body: str | bytes, place: str):
    answer = http.post(body)

    assert (answer.status_code, problem(answer)["type"]) == (400, "/problems/malformed-json")
    assert pointers(problem(answer)) == [place]
    assert http.stored() == 0


@pytest.mark.parametrize(("body", "place"), MALFORMED.values(), ids=MALFORMED)
def test_the_same_text_is_refused_as_the_data_of_a_binary_cloudevent(http: Http, body: str | bytes, place: str):
    answer = http.post(body, BINARY)

    assert answer.status_code in {400, 422}
    assert http.stored() == 0


INVALID: dict[str, tuple[dict[str, Any], set[str]]] = {
    "unknown member": (event(colour="red", hue=1), {"/colour", "/hue"}),
    "no type": ({"data": flight()}, {"/type"}),
    "no data": ({"type": "flight.recorded"}, {"/data"}),
    "empty": ({}, {"/type", "/data"}),
    "type that is a number": (event(type=7), {"/type"}),
    "empty type": (event(type=""), {"/type"}),
    "long type": (event(type="x" * 201), {"/type"}),
    "NUL in the type": (event(type="a\0"), {"/type"}),
    "type that is not ASCII": (event(type="café"), {"/type"}),
    "NUL in the source": (event(source="a\0"), {"/source"}),
    "NUL in the subject": (event(subject="a\0"), {"/subject"}),
    "line end in the subject": (event(subject="a\n"), {"/subject"}),
    "long subject": (event(subject="x" * 513), {"/subject"}),
    "null source": (event(source=None), {"/source"}),
    "time without an offset": (event(time="2013-01-01T10:00:00"), {"/time"}),
    "time that is a date": (event(time="2013-01-01"), {"/time"}),
    "time that is a number": (event(time=1356998400), {"/time"}),
    "time that is none": (event(time="2013-02-30T10:00:00Z"), {"/time"}),
    "time before the year 1": (event(time="0001-01-01T00:00:00+14:00"), {"/time"}),
    "wrong not_before": (event(not_before="soon"), {"/not_before"}),
    "negative version": (event(subject="s", expected_version=-1), {"/expected_version"}),
    "version that is true": (event(subject="s", expected_version=True), {"/expected_version"}),
    "version of 1.0": (event(subject="s", expected_version=1.0), {"/expected_version"}),
    "version that is too large": (event(subject="s", expected_version=2**63), {"/expected_version"}),
    "version without a subject": (event(expected_version=0), {"/expected_version"}),
    "several": (event(type=1, source=2, subject=3, time=4), {"/type", "/source", "/subject", "/time"}),
    "field of the wrong type": (event(data=flight(month="1")), {"/data/month"}),
    "field that is a fraction": (event(data=flight(day=1.5)), {"/data/day"}),
    "field out of range": (event(data=flight(month=13, distance=0)), {"/data/month", "/data/distance"}),
    "field missing": (event(data={k: v for k, v in flight().items() if k != "carrier"}), {"/data/carrier"}),
    "field unknown": (event(data=flight(colour=1)), {"/data/colour"}),
    "field with a slash": (event(data=flight(**{"a/b~c": 1})), {"/data/a~1b~0c"}),
    "data that is a list": (event(data=[]), {"/data"}),
    "data that is null": (event(data=None), {"/data"}),
}


@pytest.mark.parametrize(("body", "places"), INVALID.values(), ids=INVALID)
def test_an_event_of_the_wrong_shape_is_refused_with_every_place(http: Http, body: dict[str, Any], places: set[str]):
    answer = http.post(body)

    assert (answer.status_code, problem(answer)["type"]) == (422, "/problems/invalid-event")
    assert set(pointers(problem(answer))) == places
    assert http.stored() == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": ""},
        {"content-type": "application/xml"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/cloudevents+json; charset=utf-16"},
        {"content-type": "application/cloudevents-batch+json; charset=utf-16"},
        {"content-type": "application/x-ndjson; charset=latin-1"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-encoding": "gzip"},
        {**BINARY, "content-type": "text/plain"},
        {**BINARY, "content-type": ""},
    ],
)
def test_a_body_that_is_not_json_is_unsupported(http: Http, headers: dict[str, str]):
    single, batch = http.post(text(), headers), http.batch(f"[{text()}]", headers)

    assert (single.status_code, problem(single)["type"]) == (415, "/problems/unsupported-media")
    assert batch.status_code == 415 or "ce-id" in headers
    assert http.stored() == (1 if batch.status_code == 202 else 0)


def test_an_unknown_type_is_refused_with_the_nearest_names(http: Http):
    answer = http.post(event(type="flight.recordet"))

    assert (answer.status_code, problem(answer)["type"]) == (422, "/problems/unknown-type")
    assert "'flight.recordet'" in problem(answer)["detail"]
    assert "flight.recorded" in problem(answer)["detail"]
    assert http.stored() == 0


@pytest.fixture
def keeping(database_url: str, tmp_path) -> Iterator[Http]:
    """A service that keeps events of unknown types."""
    with served(database_url, tmp_path, unknown_types="keep") as found:
        yield found


def test_an_unknown_type_is_kept_where_the_operator_allows_it(keeping: Http):
    answer = keeping.post(event(type="flight.recordet"))

    assert answer.status_code == 202
    task = keeping.get(answer.json()["links"]["task"]).json()
    assert (task["status"], task["state"], task["pipeline"]) == ("unrouted", "PENDING", None)
    assert keeping.post(event(data={})).status_code == 422


def test_nul_in_data_is_kept_and_64_levels_too(keeping: Http):
    for data in ('{"a\\u0000b":"\\u0000"}', "[" * 64 + "]" * 64, '"\\ud83d\\ude00"'):
        answer = keeping.post(f'{{"type":"kept","data":{data}}}')

        assert answer.status_code == 202
        assert keeping.get(answer.headers["location"]).text.endswith(f'"data":{data}}}')
    lines = "\n".join(['{"type":"kept","data":"\\u0000"}'] * 3)
    assert keeping.batch(lines, NDJSON).status_code == 202
    assert keeping.stored() == 6


def test_an_event_of_exactly_a_mebibyte_is_taken_and_one_byte_more_is_not(keeping: Http):
    def sized(size: int) -> str:
        head, tail = '{"type":"kept","data":"', '"}'
        return head + "x" * (size - len(head) - len(tail)) + tail

    limit = 1 << 20
    assert keeping.post(sized(limit)).status_code == 202
    answer = keeping.post(sized(limit + 1))
    assert (answer.status_code, problem(answer)["type"]) == (413, "/problems/too-large")
    batch = keeping.batch("\n".join([sized(limit), sized(limit + 1), sized(99)]), NDJSON)
    assert [item["status"] for item in batch.json()["items"]] == [202, 413, 202]
    assert keeping.stored() == 3


def test_the_limit_counts_bytes_and_not_characters(keeping: Http):
    body = '{"type":"kept","data":"' + "é" * (1 << 19) + '"}'

    assert keeping.post(body).status_code == 413
    assert keeping.batch(f"[{body}]", JSON).json()["items"][0]["status"] == 413


@pytest.mark.parametrize(
    "path",
    [
        "/events?limit=0", "/events?limit=1001", "/events?limit=x", "/events?status=done", "/events?since=now",
        "/events?since=2013-01-01T00:00:00", "/events?since=0001-01-01T00:00:00%2B14:00", "/events?until=2013-01-01",
        "/events?after=-1", "/events?after=9223372036854775808", "/events?type=a%00", "/events?subject=%00",
        "/events?cursor=x", "/events?cursor=%00", "/events?cursor=é", "/events?cursor=WzEsMl0", "/events?cursor=e30",
        "/search?size=-1", "/search?size=1001",
    ],
)  # fmt: skip
def test_a_parameter_that_cannot_be_understood_is_refused(http: Http, path: str):
    answer = http.get(path)

    assert (answer.status_code, problem(answer)["type"]) == (400, "/problems/invalid-request")
