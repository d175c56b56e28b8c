"""GET /tasks/{task_id}, and GET and POST /search."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from dependency_injector import providers
from pydantic import BaseModel

from domain.registry import PipelineRegistry
from playhead import PermanentError, Pipeline, Retry, TaskContext, TransientError, node
from tests.end_to_end.processes import wait_until
from tests.integration.http import Http, event, flight, pointers, problem, served

WAIT = {"prefer": "wait=20"}


class Order(BaseModel):
    fails: str = ""


@node
def judge(context: TaskContext) -> str:
    if context.data.fails == "now":
        raise TransientError("the price list is away")
    if context.data.fails == "for good":
        raise PermanentError("no such article")
    return "good"


@pytest.fixture
def orders(database_url: str, tmp_path: Path) -> Iterator[Http]:
    """A service with a pipeline that fails as its events say."""
    registry = PipelineRegistry(
        [Pipeline(name="orders", accepts={"order.placed": Order}, nodes=(judge,), retry=Retry(attempts=5))]
    )
    with served(database_url, tmp_path, engine=True, registry=providers.Object(registry)) as found:
        yield found


def order(fails: str) -> dict[str, Any]:
    return {"type": "order.placed", "data": {"fails": fails}}


def test_a_task_that_succeeded_has_each_nodes_output(orders: Http):
    task = orders.post(order(""), WAIT).json()

    assert orders.get(f"/tasks/{task['task_id']}").json() == task
    assert (task["state"], task["status"], task["ready"], task["pipeline"]) == ("SUCCESS", "succeeded", True, "orders")
    assert (task["result"], task["meta"]) == ({"judge": "good"}, None)


def test_a_task_that_failed_says_why_and_shows_no_stack(orders: Http):
    answer = orders.post(order("for good"), WAIT)

    assert answer.status_code == 200
    task = answer.json()
    assert (task["state"], task["status"], task["ready"]) == ("FAILURE", "failed", True)
    assert task["meta"] == {
        "exc_type": "PermanentError", "exc_message": "no such article", "retry_count": 0, "max_retries": 4,
    }  # fmt: skip
    assert [found["status"] for found in orders.get("/events?status=failed").json()["events"]] == ["failed"]


def test_a_task_that_is_tried_again_says_why_and_when(orders: Http):
    task_id = orders.post(order("now")).json()["task_id"]
    task = wait_until(lambda: (found := orders.get(f"/tasks/{task_id}").json())["state"] == "RETRY" and found)

    assert (task["status"], task["ready"]) == ("retrying", False)
    assert task["meta"]["exc_type"] == "TransientError"
    assert task["meta"]["exc_message"] == "the price list is away"
    assert task["due_at"] is not None


def test_a_wait_of_no_seconds_is_answered_as_accepted(orders: Http):
    answer = orders.post(order("now"), {"prefer": "wait=0"})

    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait")


@pytest.fixture
def searched(working: Http) -> Http:
    """Five flights, found by the index: delays of 0, 10, … 40 minutes to two airports."""
    flights = [flight(arr_delay=10.0 * number, dest="IAH" if number % 2 else "MIA") for number in range(5)]
    assert working.batch([event(data=data) for data in flights]).status_code == 202
    wait_until(lambda: working.get("/search").json().get("total") == 5)
    wait_until(lambda: working.get("/search").json()["index_lag"] == 0)
    return working


def post_search(http: Http, body: Any) -> httpx.Response:
    return http.post(body, path="/search")


def test_a_search_filters_sorts_and_aggregates(searched: Http):
    answer = post_search(
        searched,
        {
            "q": "late",
            "filters": {"dest": "MIA"},
            "sort": "-arr_delay",
            "size": 1,
            "aggs": {"delay": {"kind": "stats", "field": "arr_delay"}, "by": {"kind": "terms", "field": "status"}},
        },
    )

    found = answer.json()
    assert answer.status_code == 200
    assert [hit["arr_delay"] for hit in found["hits"]] == [40.0]
    assert (found["total"], found["backend"], found["index_lag"]) == (2, "fts5", 0)
    assert found["aggs"]["delay"]["avg"] == 30.0
    following = post_search(
        searched, {"q": "late", "filters": {"dest": "MIA"}, "sort": "-arr_delay", "size": 1, "cursor": found["cursor"]}
    )
    assert [hit["arr_delay"] for hit in following.json()["hits"]] == [20.0]


def test_a_search_by_url_is_the_same_search(searched: Http):
    by_url = searched.get("/search?q=late&filter.dest=MIA&sort=-arr_delay&size=1").json()
    by_body = post_search(searched, {"q": "late", "filters": {"dest": "MIA"}, "sort": "-arr_delay", "size": 1}).json()

    assert by_url == by_body
    assert searched.get("/search?filter.dest=MIA&filter.dest=IAH").json()["total"] == 5


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"size": -1}, "/size"),
        ({"size": 1001}, "/size"),
        ({"query": "x"}, "/query"),
        ({"q": 7}, "/q"),
        ({"aggs": {"a": {"kind": "mean", "field": "x"}}}, "/aggs/a/kind"),
        ({"aggs": {"a": {"kind": "terms"}}}, "/aggs/a/field"),
        ([], ""),
    ],
)
def test_a_search_of_the_wrong_shape_is_refused_with_its_place(http: Http, body: Any, place: str):
    answer = post_search(http, body)

    assert (answer.status_code, problem(answer)["type"]) == (400, "/problems/invalid-request")
    assert pointers(problem(answer)) == [place]


@pytest.mark.parametrize(
    "body", ["", "{", '{"q":"\\ud800"}', '{"size":NaN}', '{"q":"a","q":"b"}', "[" * 100_000, b"\xff"]
)
def test_a_search_that_is_not_strict_json_is_refused(http: Http, body: str | bytes):
    answer = post_search(http, body)

    assert (answer.status_code, problem(answer)["type"]) == (400, "/problems/malformed-json")


def test_a_search_that_is_no_json_or_too_large_is_refused(http: Http):
    assert http.post("q=x", {"content-type": "application/x-www-form-urlencoded"}, path="/search").status_code == 415
    assert post_search(http, {"q": "x" * (1 << 20)}).status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        {"q": "("},
        {"q": "no_such_field:1"},
        {"filters": {"no_such_field": 1}},
        {"sort": "no_such_field"},
        {"cursor": "nonsense"},
        {"filters": {"arr_delay": {"gte": []}}},
        {"filters": {"flight": 10**30}},
        {"filters": {"flight": {"gte": -(10**30)}}},
        {"q": "flight:" + "9" * 30},
        {"aggs": {"a": {"kind": "stats", "field": "carrier"}}},
    ],
)
def test_a_search_that_makes_no_sense_is_refused_and_never_fails(searched: Http, body: dict[str, Any]):
    answer = post_search(searched, body)

    assert (answer.status_code, problem(answer)["type"]) == (400, "/problems/invalid-query")


@pytest.mark.parametrize("body", [{"q": "\0"}, {"q": "a\0b"}, {"filters": {"carrier": "\0"}}, {"q": "é 日本 😀"}])
def test_a_search_for_odd_characters_finds_nothing_and_never_fails(searched: Http, body: dict[str, Any]):
    answer = post_search(searched, body)

    assert answer.status_code in {200, 400}
    assert answer.status_code == 400 or answer.json()["total"] == 0
