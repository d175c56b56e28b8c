"""The life of workers: what they hear, how they end, and what ends them."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from infrastructure.workers import STALLED
from tests.end_to_end.processes import run, wait_until
from tests.end_to_end.slow_service import Scale, beat, running, send

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.elasticsearch]


def test_the_doctor_says_whether_a_worker_hears(scale: Scale) -> None:
    environment, folder = scale.processes.environment, scale.processes.folder
    scale.processes.serve()

    alone = run(environment, "doctor", "--json", cwd=folder)
    scale.processes.worker()
    heard = run(environment, "doctor", "--json", cwd=folder)

    assert (alone.returncode, heard.returncode) == (4, 0)
    workers = [check for check in json.loads(alone.stdout) if not check["ok"]]
    assert [(check["name"], check["fix"]) for check in workers] == [("workers", "Start one: playhead worker")]


def test_a_plain_celery_worker_works(scale: Scale) -> None:
    worker = scale.processes.start("celery", "-A", "interfaces.worker.app", "worker")
    wait_until(lambda: " ready." in worker.stderr.read_text(), seconds=30, log=worker.stderr)
    _, client = scale.processes.serve()
    send(client, 10, emits=True)

    assert scale.done(10, quick=10) < 5
    assert worker.terminate() == 0
    assert worker.lines()


def test_a_worker_that_is_terminated_hands_back_what_it_has_not_begun(scale: Scale) -> None:
    worker = scale.processes.worker(LEASE_SECONDS="300", WORKER_CONCURRENCY="1")
    _, client = scale.processes.serve()
    ids = send(client, 200, seconds=0.3)
    wait_until(lambda: client.get(f"/tasks/{ids[0]}").json()["state"] == "PROGRESS")

    began = time.monotonic()
    assert worker.terminate() == 0

    assert time.monotonic() - began < 10
    backlog = scale.store.claims.backlog(["slow"])["slow"]
    done = scale.contexts()["slow", "completed"]
    assert backlog.claims == backlog.due == 1
    assert backlog.claimed + done == 200
    with scale.store.engine.connect() as connection:
        assert connection.execute(text("SELECT attempt, deaths FROM claims")).one() == (0, 0)


def test_a_worker_that_hears_one_queue_leaves_the_others_alone(scale: Scale) -> None:
    queues = {"PIPELINE_QUEUES": '{"slow": "bulk"}'}
    scale.processes.worker("--queues", "bulk", **queues)
    beat(scale, **queues)
    _, client = scale.processes.serve(**queues)
    send(client, 5, emits=True)

    scale.done(5)
    time.sleep(3)
    assert scale.contexts()["quick", "completed"] == 0
    scale.processes.worker(**queues)
    scale.done(5, quick=5)


def test_a_worker_that_leaves_what_it_could_claim_ends(
    tmp_path: Path, postgres_url: str, broker: str, elasticsearch_url: str
) -> None:
    with running(tmp_path, postgres_url, broker, elasticsearch_url, watchdog_seconds="2") as scale:
        worker = scale.processes.worker()
        _, client = scale.processes.serve()
        send(client, 5)
        scale.done(5)
        for child in worker.children():
            os.kill(child, signal.SIGSTOP)
        send(client, 5)
        assert worker.popen.wait(20) == STALLED
        assert any("which is due" in str(line.get("error")) for line in worker.lines())


def test_a_worker_whose_run_outlasts_its_patience_puts_it_back_and_ends_in_time(
    tmp_path: Path, postgres_url: str, broker: str, elasticsearch_url: str
) -> None:
    with running(tmp_path, postgres_url, broker, elasticsearch_url) as scale:
        worker = scale.processes.worker()
        _, client = scale.processes.serve()
        send(client, 1, seconds=60)
        wait_until(scale.claimed, seconds=10)
        began = time.monotonic()
        assert worker.terminate(25) == 0
        assert time.monotonic() - began < 25
        with scale.store.engine.connect() as connection:
            claims = connection.execute(text("SELECT owner, attempt, deaths FROM claims")).all()
        assert claims == [(None, 0, 0)]


def test_a_run_past_its_limit_costs_its_process_and_the_event_is_dead_after_three(
    tmp_path: Path, postgres_url: str, broker: str, elasticsearch_url: str
) -> None:
    with running(tmp_path, postgres_url, broker, elasticsearch_url) as scale:
        scale.processes.worker()
        beat(scale)
        _, client = scale.processes.serve()
        body = [{"type": "limited.asked", "data": {"n": 1, "seconds": seconds}} for seconds in (0, 60, 0)]
        ids = [item["event_id"] for item in client.post("/events/batch", json=body).json()["items"]]

        def ended() -> bool:
            return all(client.get(f"/tasks/{event_id}").json()["ready"] for event_id in ids)

        wait_until(ended, seconds=40)
        statuses = [client.get(f"/tasks/{event_id}").json()["status"] for event_id in ids]
        assert statuses == ["succeeded", "failed", "succeeded"]
        letter = client.get(f"/dead-letters/{ids[1]}").json()
        assert letter["error"]["type"] == "WorkerDied"
