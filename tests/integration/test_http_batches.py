"""POST /events/batch: an outcome for each event, in each of the three forms; all or none on `atomic=true`."""

import json
from typing import Any

import httpx
import pytest

from tests.integration.http import CLOUDEVENTS, JSON, NDJSON, Http, cloud, event, flight, pointers, problem, text

ATOMIC = "?atomic=true"


def statuses(answer: httpx.Response) -> list[int]:
    """The status of each item, which must be numbered in order."""
    items = answer.json()["items"]
    assert [item["index"] for item in items] == list(range(len(items)))
    return [item["status"] for item in items]


def forms() -> Any:
    """Three good events in each form."""
    plain = [event(subject=str(number)) for number in range(3)]
    clouds = [cloud(id=str(number)) for number in range(3)]
    lines = "\r\n".join(["", *map(json.dumps, plain), "  ", ""])
    return pytest.mark.parametrize(
        ("body", "headers"), [(plain, JSON), (lines, NDJSON), (clouds, CLOUDEVENTS)], ids=["array", "ndjson", "clouds"]
    )


@forms()
def test_a_batch_is_stored_in_its_order_with_an_outcome_for_each_event(http: Http, body: Any, headers: dict[str, str]):
    answer = http.batch(body, headers)

    assert (answer.status_code, statuses(answer)) == (202, [202, 202, 202])
    ids = [item["event_id"] for item in answer.json()["items"]]
    stored = [http.get(f"/events/{event_id}").json() for event_id in ids]
    assert [found["position"] for found in stored] == [1, 2, 3]
    assert [found["data"] for found in stored] == [flight()] * 3


@pytest.mark.parametrize(("body", "headers"), [("[]", JSON), ("", NDJSON), ("\n\n", NDJSON), (" [ ] ", CLOUDEVENTS)])
def test_an_empty_batch_is_taken_and_has_no_outcomes(http: Http, body: str, headers: dict[str, str]):
    answer = http.batch(body, headers)

    assert (answer.status_code, answer.json()) == (202, {"items": []})


def test_a_bad_event_is_refused_alone(http: Http):
    bad = [
        '{"type":',
        event(data={**flight(), "month": 13, "extra": 1}),
        event(type="flight.recordet"),
        event(colour=1),
    ]
    lines = [text(), *(line if isinstance(line, str) else json.dumps(line) for line in bad), text()]
    answer = http.batch("\n".join(lines), NDJSON)

    assert (answer.status_code, statuses(answer)) == (207, [202, 400, 422, 422, 422, 202])
    problems = [item["problem"] for item in answer.json()["items"] if "problem" in item]
    assert [found["type"].removeprefix("/problems/") for found in problems] == [
        "malformed-json", "invalid-event", "unknown-type", "invalid-event",
    ]  # fmt: skip
    assert set(pointers(problems[1])) == {"/data/month", "/data/extra"}
    assert "flight.recorded" in problems[2]["detail"]
    assert pointers(problems[3]) == ["/colour"]
    assert http.stored() == 2


def test_a_batch_whose_every_event_is_refused_stores_nothing(http: Http):
    answer = http.batch([event(type="x"), event(type="y")])

    assert (answer.status_code, statuses(answer), http.stored()) == (207, [422, 422], 0)


def test_an_array_that_is_not_json_is_refused_as_a_whole(http: Http):
    answer = http.batch(f"[{text()},{text()},{{]", JSON)

    assert (answer.status_code, pointers(problem(answer))) == (400, ["/2"])
    assert http.stored() == 0


@pytest.mark.parametrize("body", ["{}", "7", '"a"', "", "[1] 2"])
def test_a_body_that_is_no_array_is_refused(http: Http, body: str):
    answer = http.batch(body)

    assert (answer.status_code, problem(answer)["type"]) == (400, "/problems/malformed-json")


def test_an_atomic_batch_is_stored_as_one(http: Http):
    answer = http.batch([event()] * 1000, query=ATOMIC)

    assert (answer.status_code, set(statuses(answer)), http.stored()) == (202, {202}, 1000)


def test_an_atomic_batch_of_over_a_thousand_is_too_large(http: Http):
    answer = http.batch([event()] * 1001, query=ATOMIC)

    assert (answer.status_code, problem(answer)["type"], http.stored()) == (413, "/problems/too-large", 0)


def test_an_atomic_batch_with_an_invalid_event_stores_nothing(http: Http):
    answer = http.batch([event(), event(data={}), event()], query=ATOMIC)

    assert (answer.status_code, statuses(answer)) == (422, [422, 422, 422])
    problems = [item["problem"]["type"] for item in answer.json()["items"]]
    assert problems == ["/problems/atomic-refused", "/problems/invalid-event", "/problems/atomic-refused"]
    assert http.stored() == 0


def test_an_atomic_batch_with_a_refusal_by_the_log_stores_nothing(http: Http):
    http.post(event(subject="s"))
    answer = http.batch([event(), event(subject="s", expected_version=0)], query=ATOMIC)

    assert (answer.status_code, statuses(answer)) == (422, [422, 409])
    first, second = (item["problem"] for item in answer.json()["items"])
    assert first["type"] == "/problems/atomic-refused"
    assert (second["type"], second["current_version"]) == ("/problems/wrong-expected-version", 1)
    assert http.stored() == 1


def test_an_atomic_batch_may_be_repeated(http: Http):
    first, again = (http.batch([event(), event()], {"idempotency-key": "k"}, query=ATOMIC) for _ in range(2))

    assert [item["event_id"] for item in again.json()["items"]] == [item["event_id"] for item in first.json()["items"]]
    assert [item.get("repeated") for item in again.json()["items"]] == [True, True]
    assert http.stored() == 2


def test_a_batch_of_over_five_hundred_is_answered_once(http: Http):
    answer = http.batch("\n".join(text(subject=str(number)) for number in range(1201)), NDJSON)

    assert (answer.status_code, len(answer.json()["items"]), http.stored()) == (202, 1201, 1201)
    positions = [
        http.get(f"/events/{answer.json()['items'][index]['event_id']}").json()["position"] for index in (0, 1200)
    ]
    assert positions == [1, 1201]


def test_the_key_of_a_batch_keys_each_event_by_its_index(http: Http):
    keyed = {"idempotency-key": "k"}
    first = http.batch([event(), event()], keyed).json()["items"]
    again = http.batch([event(), event(), event()], keyed).json()["items"]

    assert [item["event_id"] for item in again[:2]] == [item["event_id"] for item in first]
    assert [item.get("repeated", False) for item in again] == [True, True, False]
    assert [http.get(f"/events/{item['event_id']}").json()["key"] for item in again] == ["k/0", "k/1", "k/2"]
    single = http.post(event(), {"idempotency-key": "k/1"})
    assert single.json()["event_id"] == first[1]["event_id"]
    assert single.headers["idempotency-replayed"] == "true"


def test_an_event_of_a_repeated_batch_that_changed_is_refused_alone(http: Http):
    keyed = {"idempotency-key": "k"}
    http.batch([event(), event()], keyed)
    answer = http.batch([event(), event(subject="new")], keyed)

    assert (answer.status_code, statuses(answer), http.stored()) == (207, [202, 422], 2)
    assert answer.json()["items"][1]["problem"]["type"] == "/problems/key-reused"


def test_two_events_of_one_batch_with_one_key_are_one_event(http: Http):
    answer = http.batch([cloud(), cloud(), cloud(subject="other")], CLOUDEVENTS)

    assert statuses(answer) == [202, 202, 422]
    first, twin, other = answer.json()["items"]
    assert (twin["event_id"], twin["repeated"]) == (first["event_id"], True)
    assert other["problem"]["type"] == "/problems/key-reused"
    assert http.stored() == 1


def test_a_header_key_beside_cloudevents_ids_is_refused_for_each(http: Http):
    answer = http.batch([cloud(), cloud(id="k/1")], {**CLOUDEVENTS, "idempotency-key": "k"})

    assert (answer.status_code, statuses(answer), http.stored()) == (207, [422, 202], 1)


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_a_batch_under_a_key_that_cannot_be_one_is_refused(http: Http, key: str):
    answer = http.batch([event()], {"idempotency-key": key})

    assert (answer.status_code, pointers(problem(answer))) == (422, ["/headers/idempotency-key"])
    assert http.stored() == 0


def test_versions_within_a_batch_follow_each_other(http: Http):
    batch = [event(subject="s", expected_version=version) for version in (0, 1, 1, 2)]

    assert statuses(http.batch(batch)) == [202, 202, 409, 202]


def test_a_text_for_atomic_that_is_no_truth_value_is_refused(http: Http):
    answer = http.batch([event()], query="?atomic=perhaps")

    assert (answer.status_code, pointers(problem(answer)), http.stored()) == (400, ["/query/atomic"], 0)
