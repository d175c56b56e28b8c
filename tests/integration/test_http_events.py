"""POST /events: every form, every header, and the answers of a repeat."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.http import STRUCTURED, Http, cloud, event, flight, pointers, problem, served, text

BINARY = {
    "ce-specversion": "1.0",
    "ce-id": "b-1",
    "ce-source": "nyc",
    "ce-type": "flight.recorded",
    "content-type": "application/json",
}


def test_an_event_is_stored_and_the_answer_says_where_to_follow_it(http: Http):
    answer = http.post(event(source="nyc", subject="UA1545", time="2013-01-01T10:00:00Z"))

    assert answer.status_code == 202
    body = answer.json()
    event_id = body["event_id"]
    assert body == {
        "event_id": event_id,
        "task_id": event_id,
        "message": f"process_incoming_event started `{event_id}`",
        "links": {
            "event": f"/events/{event_id}",
            "contexts": f"/events/{event_id}/contexts",
            "task": f"/tasks/{event_id}",
        },
    }
    assert answer.headers["location"] == f"/events/{event_id}"
    assert "idempotency-replayed" not in answer.headers
    stored = http.get(answer.headers["location"]).json()
    assert {name: stored[name] for name in ("id", "position", "type", "source", "subject", "route", "status")} == {
        "id": event_id, "position": 1, "type": "flight.recorded", "source": "nyc", "subject": "UA1545",
        "route": "flights", "status": "queued",
    }  # fmt: skip
    assert stored["time"] == "2013-01-01T10:00:00Z"
    assert stored["data"] == flight()


def test_every_link_of_the_answer_leads_somewhere(http: Http):
    links = http.post(event()).json()["links"]

    assert {http.get(link).status_code for link in links.values()} == {200}


def test_a_structured_cloudevent_is_stored_with_its_extensions(http: Http):
    answer = http.post(cloud(subject="UA1", traceparent="00-ab", dataschema="urn:x"), STRUCTURED)

    stored = http.get(answer.headers["location"]).json()
    assert (stored["key"], stored["source"], stored["subject"]) == ("a-1", "nyc", "UA1")
    assert stored["attributes"] == {"traceparent": "00-ab", "dataschema": "urn:x"}


def test_a_binary_cloudevent_is_stored_with_its_extensions(http: Http):
    answer = http.post(flight(), {**BINARY, "ce-subject": "caf%C3%A9", "ce-myext": "seven"})

    stored = http.get(answer.headers["location"]).json()
    assert (stored["key"], stored["subject"], stored["data"]) == ("b-1", "café", flight())
    assert stored["attributes"] == {"myext": "seven", "datacontenttype": "application/json"}


def test_the_data_comes_back_to_the_letter(database_url: str, tmp_path: Path):
    data = '{"z":1e2,  "a":1.50,"n":\t-0,"u":"\\u0000\\u00e9é\\/","b":12345678901234567890123}'
    with served(database_url, tmp_path, unknown_types="keep") as http:
        answer = http.post('{"type":"kept","data":' + data + "}")

        assert answer.status_code == 202
        assert http.get(answer.headers["location"]).text.endswith(f'"data":{data}}}')
        assert f'"data":{data}}}' in http.get("/events").text


@pytest.mark.parametrize("data", ["null", "[]", '"text"', "7", "{}"])
def test_any_json_value_is_data_of_an_unrouted_event(database_url: str, tmp_path: Path, data: str):
    with served(database_url, tmp_path, unknown_types="keep") as http:
        answer = http.post('{"type":"kept","data":' + data + "}")

        stored = http.get(answer.headers["location"])
        assert stored.text.endswith(f'"data":{data}}}')
        assert (stored.json()["route"], stored.json()["status"]) == (None, "unrouted")


def test_a_repeat_under_its_key_is_answered_as_the_first_was(http: Http):
    keyed = {"idempotency-key": "k 1"}
    first, again = http.post(event(), keyed), http.post(event(), keyed)

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert http.stored() == 1


def test_a_key_holds_type_subject_and_exact_data_and_nothing_else(http: Http):
    keyed = {"idempotency-key": "k"}
    http.post(event(subject="s", time="2013-01-01T10:00:00Z"), keyed)

    assert http.post(event(subject="s", time="2014-01-01T10:00:00Z"), keyed).status_code == 202
    for other in (event(subject="t"), event(subject="s", data=flight(day=2)), event()):
        refused = http.post(other, keyed)
        assert (refused.status_code, problem(refused)["type"]) == (422, "/problems/key-reused")
    reordered = text(subject="s").replace('"year": 2013', '"year":2013')
    assert http.post(reordered, keyed).status_code == 422
    assert http.stored() == 1


def test_a_key_is_unique_with_its_source(http: Http):
    keyed = {"idempotency-key": "k"}
    ids = {http.post(event(source=source), keyed).json()["event_id"] for source in ("a", "b")}
    ids.add(http.post(event(), keyed).json()["event_id"])

    assert len(ids) == 3
    assert http.post(event(source=""), keyed).headers["idempotency-replayed"] == "true"


def test_header_and_cloudevents_id_are_one_space_of_keys(http: Http):
    first = http.post(event(source="nyc"), {"idempotency-key": "a-1"})
    structured = http.post(cloud(), STRUCTURED)
    binary = http.post(json.dumps(flight()), {**BINARY, "ce-id": "a-1"})

    for again in (structured, binary):
        assert again.json()["event_id"] == first.json()["event_id"]
        assert again.headers["idempotency-replayed"] == "true"
    assert http.stored() == 1


def test_a_header_and_a_cloudevents_id_that_differ_are_refused(http: Http):
    refused = http.post(cloud(), {**STRUCTURED, "idempotency-key": "other"})

    assert refused.status_code == 422
    assert pointers(problem(refused)) == ["/headers/idempotency-key"]
    assert http.stored() == 0
    assert http.post(cloud(), {**STRUCTURED, "idempotency-key": "a-1"}).status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 201, "tab\there", "caf\xe9"])
def test_a_key_that_cannot_be_one_is_refused(http: Http, key: str):
    headers = [(b"content-type", b"application/json"), (b"idempotency-key", key.encode("latin-1"))]
    answer = http.request("POST", "/events", content=text(), headers=headers)

    assert (answer.status_code, pointers(problem(answer))) == (422, ["/headers/idempotency-key"])
    assert http.stored() == 0


def test_an_expected_version_is_the_position_of_the_subjects_last_event(http: Http):
    assert http.post(event(subject="s", expected_version=0)).status_code == 202
    http.post(event(subject="other"))

    refused = http.post(event(subject="s", expected_version=0))
    assert refused.status_code == 409
    assert problem(refused)["type"] == "/problems/wrong-expected-version"
    assert problem(refused)["current_version"] == 1
    assert http.post(event(subject="s", expected_version=1)).status_code == 202
    assert problem(http.post(event(subject="s", expected_version=1)))["current_version"] == 3
    assert http.stored() == 3


def test_an_event_that_is_not_due_yet_waits(working: Http):
    due = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    answer = working.post(event(not_before=due), {"prefer": "wait=1"})

    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "wait"
    task = working.get(answer.json()["links"]["task"]).json()
    assert (task["state"], task["status"]) == ("PENDING", "queued")
    assert datetime.fromisoformat(task["due_at"]) == datetime.fromisoformat(due)


def test_a_delayed_event_runs_when_it_is_due(working: Http):
    due = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    answer = working.post(event(not_before=due), {"prefer": "wait=20"})

    assert (answer.status_code, answer.json()["state"]) == (200, "SUCCESS")


@pytest.mark.parametrize("prefer", ["wait=20", "respond-async, wait=20", 'Wait = "20"'])
def test_a_client_that_prefers_to_wait_gets_the_result(working: Http, prefer: str):
    answer = working.post(event(data=flight(arr_delay=20.0)), {"prefer": prefer})

    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait"
    task = answer.json()
    assert answer.headers["location"] == f"/events/{task['task_id']}"
    assert (task["state"], task["status"], task["ready"]) == ("SUCCESS", "succeeded", True)
    assert task["result"] == {"status": "late", "speed_kmh": 595.5}


def test_a_repeat_that_waits_gets_the_result_of_the_first(working: Http):
    headers = {"prefer": "wait=20", "idempotency-key": "k"}
    first, again = working.post(event(), headers), working.post(event(), headers)

    assert again.json() == first.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


def test_many_waiting_clients_share_commits_and_all_get_their_results(working: Http):
    answers = working.at_once(
        *(
            working.arequest(
                "POST", "/events", content=text(subject=str(number)),
                headers={"content-type": "application/json", "prefer": "wait=20"},
            )
            for number in range(40)
        )
    )  # fmt: skip

    assert {answer.json()["state"] for answer in answers} == {"SUCCESS"}
    assert len({answer.json()["task_id"] for answer in answers}) == 40
    assert working.stored() == 40


def test_the_request_id_of_a_client_comes_back_and_an_unusable_one_is_replaced(http: Http):
    assert http.get("/livez", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert re.fullmatch(r"[0-9a-f-]{36}", http.get("/livez", headers={"x-request-id": "a b"}).headers["x-request-id"])


def test_a_repeat_is_answered_as_the_first_was_also_by_code_that_would_refuse_it(database_url: str, tmp_path: Path):
    body = {"type": "slow.asked", "data": {"n": 1}}
    key = {"idempotency-key": "k"}
    with served(database_url, tmp_path, pipelines="tests.end_to_end.slow_pipelines") as before:
        first = before.post(body, key)
        lines = before.batch([body, body], {"idempotency-key": "b"})

    with served(database_url, tmp_path) as after:
        again, other = after.post(body, key), after.post({**body, "data": {"n": 2}}, key)
        more = after.batch([body, body, body], {"idempotency-key": "b"})

        assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
        assert again.json() == first.json()
        assert (other.status_code, after.post(body).status_code) == (422, 422)
        assert [item["status"] for item in more.json()["items"]] == [202, 202, 422]
        assert [item["event_id"] for item in more.json()["items"][:2]] == [
            item["event_id"] for item in lines.json()["items"]
        ]
        assert after.stored() == 3
