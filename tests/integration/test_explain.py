"""Explain: the biography of an event over HTTP and by command line, and the plans by which it is read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import event as sqlalchemy_event

from application.subscription import Selection
from domain.context import TaskContext
from domain.pipeline import Pipeline, node
from domain.registry import PipelineRegistry
from playhead import EmitEvent
from tests.cli import Cli, command_line
from tests.end_to_end.processes import wait_until
from tests.integration.http import Http, problem, served

NOBODY = "0190d1a2-0000-7000-8000-000000000001"


class Thing(BaseModel):
    n: int


@node
def split(context: TaskContext) -> TaskContext:
    for part in range(context.data.n):
        context = context.declare(EmitEvent(type="thing.seen", data={"n": part}))
    return context.with_output("split", context.data.n)


@node
def invert(context: TaskContext) -> float:
    return 1 / context.data.n


REGISTRY = PipelineRegistry([Pipeline("things", {"thing.seen": Thing}, (split, invert))])


@pytest.fixture
def http(database_url: str, tmp_path: Path) -> Iterator[Http]:
    with served(database_url, tmp_path, engine=True, registry=REGISTRY) as found:
        yield found


def post(http: Http, n: int) -> str:
    """An event and, through follow-ups, n, n - 1, …: all have ended. Those with 0 are dead."""
    event_id: str = http.post({"type": "thing.seen", "data": {"n": n}}, {"idempotency-key": f"k-{n}"}).json()[
        "event_id"
    ]
    wait_until(lambda: len(http.get("/events?status=failed").json()["events"]) == 2 ** max(n - 1, 0))
    return event_id


def explain(http: Http, event_id: str) -> dict[str, Any]:
    answer = http.get(f"/events/{event_id}/explain")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_an_event_is_explained_with_all_that_it_caused(http: Http):
    event_id = post(http, 3)
    told = explain(http, event_id)

    assert (told["event"]["id"], told["event"]["key"], told["origin"]) == (event_id, "k-3", "request")
    assert (told["task"]["status"], told["claim"], told["decisions"]) == ("succeeded", None, [])
    assert (told["schema"]["model"], told["schema"]["stored"], told["schema"]["faults"]) == ("Thing", 1, [])
    [attempt] = told["attempts"]
    assert [each["node"] for each in attempt["nodes"]] == ["split", "invert", "elasticsearch_index"]
    assert [each["output"] for each in attempt["nodes"]] == [3, 1 / 3, None]
    assert len(attempt["nodes"][0]["effects"]) == 3
    causation = told["causation"]
    assert (causation["causes"], causation["cut"], len(causation["caused"])) == ([], False, 7)
    assert sorted(each["status"] for each in causation["caused"]) == ["failed"] * 4 + ["succeeded"] * 3
    asked = {each["effect_id"] for each in attempt["nodes"][0]["effects"]}
    assert {each["event_id"] for each in causation["caused"] if each["cause"] == event_id} == asked

    deepest = causation["caused"][-1]
    below = explain(http, deepest["event_id"])
    assert (below["event"]["depth"], below["origin"]) == (3, "pipeline")
    assert below["causation"]["causes"][0]["event_id"] == event_id
    assert below["attempts"][0]["failure"]["node"] == "invert"
    assert [each["what"] for each in below["decisions"]] == ["died"]


def test_decisions_and_replays_are_told(http: Http):
    event_id = post(http, 0)
    http.post({"ids": [event_id]}, path="/dead-letters/requeue")
    wait_until(lambda: len(explain(http, event_id)["attempts"]) == 2)
    http.post({"ids": [event_id], "reason": "sent by mistake"}, path="/dead-letters/discard")
    assert http.post({"ids": [event_id]}, path="/replays").status_code == 201

    told = explain(http, event_id)
    assert [(each["what"], each["by"]) for each in told["decisions"]] == [
        ("died", None), ("requeued", "http"), ("died", None), ("discarded", "http"),
    ]  # fmt: skip
    assert told["decisions"][-1]["reason"] == "sent by mistake"
    assert (told["task"]["status"], told["index"]["status"]) == ("discarded", "nothing to index")
    assert [(each["id"], each["status"]) for each in told["replays"]] == [(1, None)]


def test_the_index_has_the_result_of_an_event_that_has_succeeded(http: Http):
    http.container.indexer().open()
    event_id = post(http, 1)
    wait_until(lambda: explain(http, event_id)["index"]["status"] == "indexed")


def test_an_event_is_explained_while_elasticsearch_is_away(database_url: str, tmp_path: Path):
    away = "http://127.0.0.1:9"
    with served(database_url, tmp_path, engine=True, registry=REGISTRY, elasticsearch_url=away) as http:
        told = explain(http, post(http, 1))

    assert (told["task"]["status"], told["index"]["status"]) == ("succeeded", "away")
    assert "cannot be reached" in told["index"]["detail"]


def test_an_event_that_is_not_there_is_not_found(http: Http):
    answer = http.get(f"/events/{NOBODY}/explain")
    assert (answer.status_code, problem(answer)["type"]) == (404, "/problems/not-found")


def test_nothing_of_a_log_is_read_through(http: Http):
    event_id = post(http, 3)
    database = http.container.store().database
    plans: list[str] = []

    def explained(connection, cursor, statement, parameters, *_):
        if "events" not in statement and "task_contexts" not in statement:
            return
        if database.is_postgres:
            with connection.connection.cursor() as other:
                # As of a large table: an index is used wherever there is one.
                other.execute("SET enable_seqscan = off")
                plans.extend(row[0] for row in other.execute(f"EXPLAIN {statement}", parameters))
        else:
            asked = connection.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(row[3] for row in asked)

    sqlalchemy_event.listen(database.engine, "before_cursor_execute", explained)
    try:
        http.container.biography(event_id)
    finally:
        sqlalchemy_event.remove(database.engine, "before_cursor_execute", explained)

    through = "Seq Scan on" if database.is_postgres else "SCAN "
    logs = ("events", "task_contexts")
    assert any("events_cause" in line for line in plans)
    assert [line for line in plans if through in line and any(log in line.split() for log in logs)] == []


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cli]:
    with command_line(capsys, monkeypatch, tmp_path) as found:
        yield found


def test_the_command_line_tells_the_same_as_json_and_a_timeline_for_people(cli: Cli, sqlite_url: str, tmp_path: Path):
    secret = "hunter2hunter2"
    with served(sqlite_url, tmp_path, engine=True, registry=REGISTRY) as http:
        http.post({"type": "thing.seen", "source": f"https://me:{secret}@example.org", "data": {"n": 2}})
        wait_until(lambda: len(http.get("/events?status=failed").json()["events"]) == 2)
        [event] = http.container.events().read(Selection(), limit=1)
        over_http = explain(http, event.id)

    assert json.loads(cli("explain", event.id, "--json").out)["attempts"] == over_http["attempts"]
    people = cli("explain", event.id).out
    lines = people.splitlines()
    assert lines[0] == f"event {event.id}  succeeded"
    assert secret not in people
    assert any(line.split()[:1] == ["split"] and "declares emit_event thing.seen" in line for line in lines)
    assert sum("thing.seen  failed" in line for line in lines) == 2
    assert cli("explain", NOBODY).code == 3
    assert cli("dead", "show", event.id).code == 3
