"""Health, metrics, pages of problems; what is no route."""

from pathlib import Path

import pytest
from dependency_injector import providers

from domain.registry import PipelineRegistry
from interfaces.http.errors import STATUS, unexpected
from tests.end_to_end.processes import wait_until
from tests.integration.http import Http, event, problem, served


def test_the_process_answers_and_is_ready(http: Http):
    assert http.get("/livez").json() == {"status": "ok"}
    answer = http.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert {name: check["ok"] for name, check in answer.json()["checks"].items()} == {
        "database": True, "migrations": True, "durability": True, "broker": True, "search": True, "pipelines": True,
        "seals": True,
    }  # fmt: skip


def test_a_backlog_of_a_pipeline_that_is_not_loaded_is_named_and_does_not_make_the_service_unready(
    database_url: str, tmp_path: Path
):
    with served(database_url, tmp_path) as http:
        http.batch([event(), event()])

    with served(database_url, tmp_path, registry=providers.Object(PipelineRegistry())) as http:
        answer = http.get("/readyz")
        check = answer.json()["checks"]["pipelines"]
        metrics = http.get("/metrics").text

    assert (answer.status_code, check["ok"]) == (200, False)
    assert "flights (2)" in check["detail"]
    assert 'playhead_pipeline_waiting{pipeline="flights"} 2.0' in metrics
    assert 'playhead_pipeline_unloaded{pipeline="flights"} 1.0' in metrics


def test_metrics_count_requests_by_route_and_know_the_backlog(http: Http):
    event_id = http.post(event()).json()["event_id"]
    http.get(f"/events/{event_id}")
    http.get("/nowhere")
    answer = http.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    for line in (
        'playhead_http_request_seconds_count{method="POST",route="/events",status="202"} 1.0',
        'playhead_http_request_seconds_count{method="GET",route="/events/{event_id}",status="200"} 1.0',
        'playhead_http_request_seconds_count{method="GET",route="unknown",status="404"} 1.0',
        "playhead_database_up 1.0",
        "playhead_events_head 1.0",
        "playhead_index_lag 0.0",
        'playhead_pipeline_waiting{pipeline="flights"} 1.0',
        'playhead_pipeline_unloaded{pipeline="flights"} 0.0',
    ):
        assert line in lines
    assert event_id not in answer.text


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.code)
def test_every_type_of_problem_has_its_page(http: Http, kind):
    answer = http.get(f"/problems/{kind.code}")

    assert answer.status_code == 200
    assert str(STATUS[kind]) in answer.text
    assert kind.__doc__ in answer.text


def test_an_unknown_type_of_problem_has_none(http: Http):
    assert http.get("/problems/none").status_code == 404
    assert {http.get(f"/problems/{code}").status_code for code in ("internal-error", "method-not-allowed")} == {200}


@pytest.mark.parametrize("path", ["/", "/nowhere", "/events/a/b", "/%00", "/é"])
def test_what_is_no_route_is_a_problem(http: Http, path: str):
    answer = http.get(path)

    assert (answer.status_code, problem(answer)["type"]) == (404, "/problems/not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/events", "GET, POST"),
        ("OPTIONS", "/events", "GET, POST"),
        ("PUT", "/events/x", "GET"),
        ("PATCH", "/events/batch", "POST"),
        ("POST", "/tasks/x", "GET"),
        ("DELETE", "/search", "GET, POST"),
        ("BREW", "/livez", "GET"),
    ],
)
def test_a_method_that_a_path_has_not_is_a_problem_that_names_those_it_has(
    http: Http, method: str, path: str, allowed: str
):
    answer = http.request(method, path)

    assert (answer.status_code, problem(answer)["type"]) == (405, "/problems/method-not-allowed")
    assert answer.headers["allow"] == allowed


def test_a_head_request_has_no_body(http: Http):
    answer = http.request("HEAD", "/events")

    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "GET, POST", b"")


def test_what_should_not_fail_is_a_problem_that_tells_nothing_of_the_inside(http: Http):
    @http.app.get("/boom")
    def boom() -> None:
        raise RuntimeError("postgresql://user:secret@db")

    answer = http.get("/boom")

    assert answer.status_code == 500
    assert problem(answer)["type"] == "/problems/internal-error"
    assert answer.content == unexpected("/boom").body
    assert "secret" not in answer.text


def test_an_engine_that_leaves_what_is_due_is_not_alive(database_url: str, tmp_path: Path):
    with served(database_url, tmp_path, watchdog_seconds=1) as http:
        http.post(event())  # and no engine runs
        watchdog = http.container.watchdog()
        wait_until(lambda: watchdog.look() is not None, seconds=10)
        answer = http.get("/livez")

    assert answer.status_code == 503
    assert "'flights'" in problem(answer)["detail"]
