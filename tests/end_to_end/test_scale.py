"""The service at scale: API, worker and beat as processes, on real PostgreSQL, brokers and Elasticsearch."""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis
from celery import Celery
from kombu import Connection
from sqlalchemy import text

from infrastructure.elasticsearch.client import connect
from tests.end_to_end.month import search, shows, the_month_runs_once_is_searchable_and_replays_alike
from tests.end_to_end.processes import run, wait_until
from tests.end_to_end.slow_service import Scale, beat, send

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.elasticsearch]
MOVED = "tests.end_to_end.moved_pipelines"


@dataclass(frozen=True)
class Whole:
    """The whole service at scale, as the month's tests see it."""

    scale: Scale
    url: str
    client: httpx.Client

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        to = ("--url", self.url) if arguments[0] == "send" else ()
        return run(self.scale.processes.environment, *arguments, *to, cwd=self.scale.processes.folder)

    def spoil(self, missing: Sequence[str], altered: Sequence[str]) -> None:
        with connect(self.scale.processes.environment["ELASTICSEARCH_URL"]) as client:
            index = self.scale.processes.environment["ELASTICSEARCH_INDEX"]
            for event_id in missing:
                client.delete(index=index, id=event_id)
            for event_id in altered:
                found = client.get(index=index, id=event_id)
                client.index(
                    index=index,
                    id=event_id,
                    document={**found["_source"], "status": "never"},
                    version=found["_version"],
                    version_type="external_gte",
                )
            client.indices.refresh(index=index)

    def wait_for(self, contexts: Counter[tuple[str, str]]) -> None:
        wait_until(lambda: self.scale.contexts() == contexts and shows(self, contexts), seconds=100)


@pytest.mark.timeout(300)
def test_the_month_runs_once_is_searchable_and_replays_alike(scale: Scale) -> None:
    worker = scale.processes.worker()
    sweep = beat(scale)
    api, client = scale.processes.serve()
    whole = Whole(scale, str(client.base_url), client)

    the_month_runs_once_is_searchable_and_replays_alike(whole)

    assert search(whole, size=0)["backend"] == "elasticsearch"
    assert len(worker.children()) == 2
    codes = [process.terminate() for process in (api, worker, sweep)]
    assert codes == [0, 0, 0]
    # Machines read what the processes say: each line is one JSON object.
    assert any(line["event"] == "claim_ended" for line in worker.lines())
    assert isinstance(sweep.lines(), list)


def test_forged_doubled_and_late_messages_have_no_second_effect(scale: Scale, broker: str) -> None:
    worker = scale.processes.worker()
    _, client = scale.processes.serve()
    sender = Celery("stranger", broker=broker, backend=broker, set_as_current=False)
    sender.conf.task_default_queue = "playhead"
    ids = send(client, 20, emits=True)

    answers = [sender.send_task("process_incoming_event", [event_id]) for event_id in ids * 3]
    wrong: list[tuple[str, Any, Any]] = [
        ("process_incoming_event", ["garbage"], {}),
        ("process_incoming_event", [str(uuid4())], {}),
        ("process_incoming_event", [{"a": [1]}], {}),
        ("process_incoming_event", [], {}),
        ("process_incoming_event", [None, 1, 2], {"event_id": "x", "more": True}),
        ("ring", ["unheard-of"], {}),
        ("ring", [["slow"]], {}),
        ("os.system", ["true"], {}),
    ]
    for name, arguments, keywords in wrong:
        sender.send_task(name, arguments, keywords, ignore_result=True)
    with Connection(broker) as connection, connection.Producer() as producer:
        producer.publish(b"\x80\x04garbage", routing_key="playhead", content_type="application/x-python-serialize",
                         content_encoding="binary")  # fmt: skip
        producer.publish("not a task", routing_key="playhead", content_type="text/plain")
        producer.publish([1], routing_key="playhead", serializer="json")
    with redis.Redis.from_url(broker) as raw:
        raw.lpush("playhead", b"not an envelope")

    scale.done(20, quick=20)
    late = sender.send_task("process_incoming_event", [ids[0]])
    assert late.get(timeout=20) == "succeeded"
    assert {answer.get(timeout=20) for answer in answers} <= {"queued", "running", "succeeded"}
    assert worker.popen.poll() is None
    assert send(client, 1)
    scale.done(21, quick=20)
    sender.close()


def test_without_any_bell_the_sweep_finds_the_work(scale: Scale, broker: str) -> None:
    scale.processes.worker()
    with redis.Redis.from_url(broker) as client:
        wait_until(lambda: client.llen("playhead") == 0)
    time.sleep(0.5)
    beat(scale)
    time.sleep(2)
    scale.append(10, emits=True)

    # Seen within 2 s, rung 2 s later; the follow-ups and their work are rung for as they are made.
    assert scale.done(10, quick=10) < 7


def test_a_killed_process_of_a_worker_costs_its_lease_and_nothing_else(scale: Scale) -> None:
    worker = scale.processes.worker(WORKER_CONCURRENCY="1", CLAIM_BATCH="4")
    beat(scale)
    _, client = scale.processes.serve()
    ids = send(client, 4, seconds=0.7)
    wait_until(lambda: client.get(f"/tasks/{ids[0]}").json()["state"] == "PROGRESS")

    [child] = worker.children()
    os.kill(child, signal.SIGKILL)

    # The lease of 3 s, the sweep, and the run itself.
    assert scale.done(4, seconds=20) < 15
    assert worker.popen.poll() is None
    assert worker.children() != [child]


def test_a_worker_stopped_beyond_its_lease_is_refused_by_the_fence(scale: Scale) -> None:
    paused = scale.processes.worker(WORKER_CONCURRENCY="1", CLAIM_BATCH="3")
    scale.append(3, seconds=0.5)
    with_bell(scale)
    wait_until(lambda: scale.claimed() == 1)
    group = [paused.popen.pid, *paused.children()]
    for number in group:
        os.kill(number, signal.SIGSTOP)

    scale.processes.worker(WORKER_CONCURRENCY="1")
    beat(scale)
    scale.done(3, seconds=20)
    for number in group:
        os.kill(number, signal.SIGCONT)

    wait_until(lambda: any(line.get("result") == "fenced" for line in paused.lines()), seconds=10)
    scale.done(3)


def with_bell(scale: Scale) -> None:
    """Ring for what was appended past every bell."""
    environment = scale.processes.environment
    sender = Celery("stranger", broker=environment["CELERY_BROKER_URL"], set_as_current=False)
    sender.send_task("ring", ["slow"], queue="playhead", ignore_result=True)
    sender.close()


def test_a_type_moved_to_another_pipeline_and_a_pipeline_to_another_queue_under_load(scale: Scale) -> None:
    sent = 0
    worker = scale.processes.worker(CLAIM_BATCH="10")
    api, client = scale.processes.serve()
    beat(scale)
    for _ in range(10):
        sent += len(send(client, 20, seconds=0.01))

    # The API first: for a while the worker does not know the route of what comes.
    assert api.terminate() == 0
    moved = {"PIPELINES": MOVED, "PIPELINE_QUEUES": '{"slow": "elsewhere", "moved": "bulk"}'}
    _, client = scale.processes.serve(**moved)
    for _ in range(10):
        sent += len(send(client, 20, seconds=0.01))
    assert worker.terminate() == 0
    scale.processes.worker(CLAIM_BATCH="10", **moved)
    beat(scale, **moved)
    for _ in range(5):
        sent += len(send(client, 20, seconds=0.01))

    wait_until(lambda: sum(scale.contexts().values()) == sent, seconds=30)
    counted = scale.contexts()
    assert set(counted) == {("slow", "completed"), ("moved", "completed")}
    assert counted["moved", "completed"] >= 300
    with scale.store.engine.connect() as connection:
        doubled = text("SELECT count(*) - count(DISTINCT event_position) FROM task_contexts")
        assert connection.scalar(doubled) == 0


def test_a_slow_pipelines_backlog_leaves_the_others_their_turn(scale: Scale) -> None:
    scale.processes.worker(CLAIM_BATCH="10")
    beat(scale)
    _, client = scale.processes.serve()
    for _ in range(10):
        send(client, 100, seconds=0.05, emits=True)

    def others_had_their_turn() -> bool:
        index = scale.store.claims.backlog(["index"])["index"]
        return scale.contexts()["quick", "completed"] >= 50 and index.cursor - index.claimed >= 50

    # The backlog alone is 25 s of work for two processes.
    wait_until(others_had_their_turn, seconds=20)
    assert scale.contexts()["slow", "completed"] < 900
