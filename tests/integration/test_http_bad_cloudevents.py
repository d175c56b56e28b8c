"""Bad CloudEvents, structured and binary: the right 4xx with a pointer to the attribute or header, nothing stored."""

import json
from typing import Any

import pytest

from tests.integration.http import CLOUDEVENTS, STRUCTURED, Http, cloud, flight, pointers, problem

BINARY = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "nyc", "ce-type": "flight.recorded"}

INVALID_CLOUD: dict[str, tuple[dict[str, Any], str]] = {
    "no specversion": ({k: v for k, v in cloud().items() if k != "specversion"}, "/specversion"),
    "wrong specversion": (cloud(specversion="0.3"), "/specversion"),
    "no id": ({k: v for k, v in cloud().items() if k != "id"}, "/id"),
    "empty id": (cloud(id=""), "/id"),
    "NUL in the id": (cloud(id="a\0"), "/id"),
    "no source": ({k: v for k, v in cloud().items() if k != "source"}, "/source"),
    "empty subject": (cloud(subject=""), "/subject"),
    "wrong time": (cloud(time="yesterday"), "/time"),
    "extension in capitals": (cloud(Trace="x"), "/Trace"),
    "extension with a long name": (cloud(x23456789012345678901="x"), "/x23456789012345678901"),
    "extension that is an object": (cloud(ext={}), "/ext"),
    "extension that is a fraction": (cloud(ext=1.5), "/ext"),
    "extension over 32 bits": (cloud(ext=2**31), "/ext"),
    "extension with NUL": (cloud(ext="\0"), "/ext"),
    "wrong data": (cloud(data=flight(month=0)), "/data/month"),
}


@pytest.mark.parametrize(("body", "place"), INVALID_CLOUD.values(), ids=INVALID_CLOUD)
def test_a_wrong_cloudevent_is_refused_with_its_place(http: Http, body: dict[str, Any], place: str):
    answer = http.post(body, STRUCTURED)
    one = http.batch([body], CLOUDEVENTS)

    assert (answer.status_code, pointers(problem(answer))) == (422, [place])
    assert (one.status_code, pointers(one.json()["items"][0]["problem"])) == (207, [place])
    assert http.stored() == 0


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"ce-specversion": "2.0"}, "/headers/ce-specversion"),
        ({"ce-id": ""}, "/headers/ce-id"),
        ({"ce-type": ""}, "/headers/ce-type"),
        ({"ce-source": "%ff"}, "/headers/ce-source"),
        ({"ce-subject": "100%"}, "/headers/ce-subject"),
        ({"ce-time": "now"}, "/headers/ce-time"),
        ({"ce-bad_name": "x"}, "/headers/ce-bad_name"),
        ({"ce-datacontenttype": "application/json"}, "/headers/ce-datacontenttype"),
    ],
)
def test_a_wrong_header_of_a_binary_cloudevent_is_refused_by_its_name(http: Http, change: dict[str, str], place: str):
    answer = http.post(flight(), {**BINARY, **change})

    assert (answer.status_code, pointers(problem(answer))) == (422, [place])
    assert http.stored() == 0


def test_a_cloudevents_header_that_stands_twice_is_refused(http: Http):
    headers = [*BINARY.items(), ("ce-type", "other"), ("content-type", "application/json")]
    answer = http.request("POST", "/events", content=json.dumps(flight()), headers=headers)

    assert (answer.status_code, pointers(problem(answer))) == (422, ["/headers/ce-type"])


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
def test_a_binary_cloudevent_needs_each_of_four_headers(http: Http, name: str):
    headers = {header: value for header, value in BINARY.items() if header != f"ce-{name}"}
    answer = http.post(flight(), headers)

    assert answer.status_code == 422
    assert f"/headers/ce-{name}" in pointers(problem(answer))


@pytest.mark.parametrize(
    "change", [{"datacontenttype": "text/xml", "data": "<a/>"}, {"data_base64": "AAEC"}], ids=["xml", "base64"]
)
def test_a_cloudevent_whose_data_is_not_json_is_unsupported(http: Http, change: dict[str, str]):
    answer = http.post(cloud(**change), STRUCTURED)

    assert (answer.status_code, problem(answer)["type"], http.stored()) == (415, "/problems/unsupported-media", 0)
