"""A database that goes away and comes back: 503 without a hang, and recovery without a restart."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from application.key_ring import FRESH_SECONDS
from application.use_cases.keys import CreateKey, create_key
from infrastructure.ids import new_key_parts
from tests.integration.http import Http, event, problem, served, text
from tests.integration.postgres_server import PostgresServer, postgres_server_of_its_own
from tests.stores import opened

pytestmark = pytest.mark.postgres
SECONDS = 5.0
"""An answer that takes longer is a hang to the client."""


@pytest.fixture
def server(postgres_server: str) -> Iterator[PostgresServer]:
    """A server that may be killed; asked for only where PostgreSQL is there at all."""
    with postgres_server_of_its_own() as found:
        with opened(found.url) as store:
            store.upgrade()
        yield found


@pytest.fixture
def working(server: PostgresServer, tmp_path: Path) -> Iterator[Http]:
    with served(server.url, tmp_path, engine=True) as found:
        yield found


def assert_unavailable(answer: httpx.Response) -> None:
    assert (answer.status_code, problem(answer)["type"]) == (503, "/problems/unavailable")
    assert int(answer.headers["retry-after"]) > 0


def test_a_database_that_is_away_is_said_at_once_and_what_comes_back_is_used(server: PostgresServer, working: Http):
    before = working.post(event(), {"prefer": "wait=20"})
    assert before.status_code == 200
    server.kill()

    event_id = before.json()["task_id"]
    paths = (
        "/events",
        "/events?status=queued",
        f"/events/{event_id}",
        f"/events/{event_id}/contexts",
        f"/tasks/{event_id}",
    )
    for ask in (
        lambda: working.post(event()),
        lambda: working.post(event(), {"prefer": "wait=20"}),
        lambda: working.batch([event()] * 600),
        lambda: working.batch([event()] * 3, query="?atomic=true"),
        *(lambda path=path: working.get(path) for path in paths),
    ):
        began = time.monotonic()
        assert_unavailable(ask())
        assert time.monotonic() - began < SECONDS
    assert working.get("/livez").status_code == 200
    unready = working.get("/readyz")
    assert (unready.status_code, unready.json()["checks"]["database"]["ok"]) == (503, False)
    assert "playhead_database_up 0.0" in working.get("/metrics").text
    assert working.post(event(type="unknown")).status_code == 422

    server.start()
    after = working.post(event(), {"prefer": "wait=20"})
    assert (after.status_code, after.json()["state"]) == (200, "SUCCESS")
    assert working.get("/readyz").status_code == 200
    assert [found["position"] for found in working.get("/events?status=succeeded").json()["events"]] == [2, 1]


def test_every_waiting_request_is_answered_when_the_database_dies_under_load(server: PostgresServer, working: Http):
    killer = threading.Timer(0.3, server.kill)
    killer.start()
    headers = {"content-type": "application/x-ndjson", "idempotency-key": "load"}
    body = "\n".join([text()] * 400)
    answers: list[httpx.Response] = []
    deadline = time.monotonic() + 20
    while not any(answer.status_code == 503 for answer in answers):
        assert time.monotonic() < deadline
        requests = [
            working.arequest("POST", "/events/batch", content=body, headers={**headers, "idempotency-key": f"{number}"})
            for number in range(len(answers), len(answers) + 10)
        ]
        began = time.monotonic()
        answers += working.at_once(*requests)
        assert time.monotonic() - began < 2 * SECONDS
    killer.join()
    assert {answer.status_code for answer in answers} <= {202, 503}

    server.start()
    again = working.at_once(
        *(
            working.arequest("POST", "/events/batch", content=body, headers={**headers, "idempotency-key": f"{number}"})
            for number in range(len(answers))
        )
    )
    assert {answer.status_code for answer in again} == {202}
    assert working.stored() == 400 * len(answers)
    for answer, repeat in zip(answers, again, strict=True):
        if answer.status_code == 202:
            ids = [item["event_id"] for item in answer.json()["items"]]
            assert [item["event_id"] for item in repeat.json()["items"]] == ids


def test_a_client_that_waits_when_the_database_dies_is_told_in_its_own_time_that_its_event_is_stored(
    server: PostgresServer, working: Http
):
    killer = threading.Timer(0.5, server.kill)
    killer.start()
    began = time.monotonic()
    answer = working.post(event(not_before="2100-01-01T00:00:00Z"), {"prefer": "wait=2"})
    killer.join()

    assert (answer.status_code, answer.headers["location"]) == (202, f"/events/{answer.json()['event_id']}")
    assert time.monotonic() - began < 2 + SECONDS


def test_keys_that_are_known_are_good_for_a_while_and_of_others_nothing_is_said(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    unknown = {"authorization": "Bearer ph_0123456789_" + "x" * 43}
    with served(server.url, tmp_path, api_keys="on") as http:
        made = create_key(
            CreateKey(name="ci", scopes=["events:write"]),
            keys=http.container.api_keys(),
            auditor=http.container.auditor(),
            new_key_parts=new_key_parts,
        )
        known = {"authorization": f"Bearer {made.text}"}
        assert http.post(event(), known).status_code == 202
        server.kill()

        assert http.post(event(type="unknown"), known).status_code == 422  # let in, and told of its event
        for headers in (unknown, {"authorization": f"Bearer {made.text[:-1]}_"}):
            began = time.monotonic()
            assert_unavailable(http.post(event(), headers))
            assert time.monotonic() - began < SECONDS
        for headers in ({}, {"authorization": "Bearer garbage"}):
            assert http.post(event(), headers).status_code == 401
        ring = http.container.key_ring()
        monkeypatch.setattr(ring, "_read_at", ring.now() - FRESH_SECONDS)
        assert_unavailable(http.post(event(), known))

        server.start()
        assert http.post(event(), known).status_code == 202
        assert http.post(event(), unknown).status_code == 401
