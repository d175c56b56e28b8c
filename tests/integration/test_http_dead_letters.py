"""/dead-letters over HTTP: what failed for good is found, grouped, run again, discarded."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from domain.context import TaskContext
from domain.pipeline import Pipeline, node
from domain.registry import PipelineRegistry
from tests.end_to_end.processes import wait_until
from tests.integration.http import Http, pointers, problem, served


class Thing(BaseModel):
    n: int


class Mood:
    """Whether the node below raises, whatever it is given."""

    bad = True


@node
def grumble(context: TaskContext) -> int:
    if Mood.bad and context.data.n % 2:
        raise ValueError(f"{context.data.n} is odd")
    return 1 // context.data.n


REGISTRY = PipelineRegistry([Pipeline("things", {"thing.seen": Thing}, (grumble,))])
ODD = "ValueError in grumble (integration/test_http_dead_letters.py: grumble)"
NOUGHT = "ZeroDivisionError in grumble (integration/test_http_dead_letters.py: grumble)"


@pytest.fixture
def http(database_url: str, tmp_path: Path) -> Iterator[Http]:
    Mood.bad = True
    with served(database_url, tmp_path, engine=True, registry=REGISTRY) as found:
        yield found


@pytest.fixture
def die(http: Http) -> Callable[..., list[str]]:
    """Post things and wait until they have ended; their ids."""

    def post(*numbers: int) -> list[str]:
        body = [{"type": "thing.seen", "subject": f"T{n}", "data": {"n": n}} for n in numbers]
        ids = [item["event_id"] for item in http.batch(body).json()["items"]]
        wait_until(lambda: all(state(http, event_id) in {"failed", "succeeded"} for event_id in ids))
        return ids

    return post


def state(http: Http, event_id: str) -> str:
    status: str = http.get(f"/tasks/{event_id}").json()["status"]
    return status


def requeue(http: Http, body: object):
    return http.post(body, path="/dead-letters/requeue")


def discard(http: Http, body: object):
    return http.post(body, path="/dead-letters/discard")


def test_dead_letters_are_listed_newest_first_by_pages(http: Http, die: Callable[..., list[str]]):
    ids = die(1, 2, 3, 0)
    first = http.get("/dead-letters?limit=2").json()
    assert [letter["event_id"] for letter in first["dead_letters"]] == [ids[3], ids[2]]
    assert first["count"] == 3
    rest = http.get("/dead-letters", params={"limit": 2, "cursor": first["next"]}).json()
    assert [letter["event_id"] for letter in rest["dead_letters"]] == [ids[0]]
    assert rest["next"] is None
    wrong = http.get("/dead-letters", params={"pipeline": "things", "cursor": first["next"]})
    assert problem(wrong)["status"] == 400


def test_a_dead_letter_says_where_and_why(http: Http, die: Callable[..., list[str]]):
    [event_id] = die(3)
    letter = http.get(f"/dead-letters/{event_id}").json()
    assert (letter["pipeline"], letter["failure"], letter["subject"]) == ("things", ODD, "T3")
    assert letter["error"]["message"] == "3 is odd"
    assert letter["error"]["node"] == "grumble"
    assert letter["links"]["task"] == f"/tasks/{event_id}"


def test_what_is_no_dead_letter_is_not_found(http: Http, die: Callable[..., list[str]]):
    [event_id] = die(2)
    assert http.get(f"/dead-letters/{event_id}").status_code == 404
    assert http.get("/dead-letters/nothing").status_code == 404


def test_dead_letters_are_grouped_by_the_kind_of_failure(http: Http, die: Callable[..., list[str]]):
    die(1, 3, 0)
    groups = http.get("/dead-letters/groups").json()["groups"]
    assert [(group["failure"], group["count"]) for group in groups] == [(ODD, 2), (NOUGHT, 1)]
    [found] = http.get("/dead-letters/groups", params={"failure": NOUGHT}).json()["groups"]
    assert found["count"] == 1


def test_letters_requeued_by_id_run_again(http: Http, die: Callable[..., list[str]]):
    odd, even = die(1, 2)
    Mood.bad = False
    assert requeue(http, {"ids": [odd, even]}).json() == {"changed": 1, "unchanged": [even]}
    wait_until(lambda: state(http, odd) == "succeeded")
    assert requeue(http, {"ids": [odd]}).json() == {"changed": 0, "unchanged": [odd]}
    statuses = [context["status"] for context in http.get(f"/events/{odd}/contexts").json()["contexts"]]
    assert statuses == ["completed", "dead"]


def test_letters_requeued_by_a_filter_are_counted_first(http: Http, die: Callable[..., list[str]]):
    ids = die(1, 3, 0)
    Mood.bad = False
    refused = problem(requeue(http, {"filter": {"failure": ODD}, "count": 3}))
    assert (refused["status"], refused["type"], refused["count"]) == (409, "/problems/count-differs", 2)
    assert state(http, ids[0]) == "failed"
    assert requeue(http, {"filter": {"failure": ODD}, "count": 2}).json() == {"changed": 2, "unchanged": []}
    wait_until(lambda: [state(http, event_id) for event_id in ids] == ["succeeded", "succeeded", "failed"])


def test_a_discarded_letter_keeps_its_reason(http: Http, die: Callable[..., list[str]]):
    [event_id] = die(5)
    answer = discard(http, {"ids": [event_id], "reason": "  sent by mistake "})
    assert answer.json() == {"changed": 1, "unchanged": []}
    task = http.get(f"/tasks/{event_id}").json()
    assert (task["status"], task["state"], task["ready"]) == ("discarded", "FAILURE", True)
    assert (task["meta"]["exc_type"], task["meta"]["exc_message"]) == ("Discarded", "sent by mistake")
    assert http.get("/dead-letters").json()["count"] == 0
    assert discard(http, {"ids": [event_id], "reason": "again"}).json() == {"changed": 0, "unchanged": [event_id]}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, None),
        ({"ids": ["x"], "filter": {}}, None),
        ({"filter": {"colour": "red"}, "count": 1}, "/filter/colour"),
        ({"filter": {"since": "yesterday"}, "count": 1}, "/filter/since"),
        ({"filter": {}, "count": -1}, "/count"),
        ({"ids": "all"}, "/ids"),
        ([], ""),
    ],
)
def test_an_unclear_decision_is_refused(http: Http, body: object, pointer: str | None):
    found = problem(requeue(http, body))
    assert found["status"] == 400
    assert pointers(found) == ([] if pointer is None else [pointer])


@pytest.mark.parametrize("reason", ["", "   ", "a\nb", "x" * 501])
def test_a_discard_needs_a_reason(http: Http, reason: str):
    assert problem(discard(http, {"filter": {}, "count": 0, "reason": reason}))["status"] == 400


def test_an_unknown_id_decides_nothing(http: Http, die: Callable[..., list[str]]):
    [event_id] = die(1)
    assert requeue(http, {"ids": [event_id, "01900000-0000-7000-8000-000000000000"]}).status_code == 404
    assert state(http, event_id) == "failed"
