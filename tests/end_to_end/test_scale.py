"""The service at scale: API, worker and beat as processes, on real PostgreSQL, brokers and Elasticsearch."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis
from celery import Celery
from kombu import Connection
from sqlalchemy import text

from domain.events import NewEvent
from infrastructure.elasticsearch.client import connect
from infrastructure.sql.store import SqlStore
from infrastructure.workers import STALLED
from tests.end_to_end.month import search, shows, the_month_runs_once_is_searchable_and_replays_alike
from tests.end_to_end.processes import free_port, run, wait_until
from tests.end_to_end.scale import Processes, processes
from tests.factories import NewEventFactory
from tests.servers import Door, redis_server
from tests.stores import opened

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.elasticsearch]
SLOW = "tests.end_to_end.slow_pipelines"
MOVED = "tests.end_to_end.moved_pipelines"
NDJSON = {"content-type": "application/x-ndjson"}


class Scale:
    """The processes of one test, and what it looks at from outside."""

    def __init__(self, found: Processes, store: SqlStore) -> None:
        self.processes = found
        self.store = store

    def contexts(self) -> Counter[tuple[str, str]]:
        """How many live contexts there are by pipeline and status; no event has two of a pipeline."""
        with self.store.engine.connect() as connection:
            rows = connection.execute(
                text(
                    "SELECT pipeline, status, count(*), count(DISTINCT event_position) FROM task_contexts "
                    "WHERE generation = 0 GROUP BY 1, 2"
                )
            ).all()
        for pipeline, status, contexts, events in rows:
            assert contexts == events, f"{pipeline} {status}: {contexts} contexts of {events} events"
        return Counter({(pipeline, status): contexts for pipeline, status, contexts, _ in rows})

    def done(self, count: int, *, seconds: float = 30, **others: int) -> float:
        """Wait until there are exactly so many completed contexts of `slow`; how long that took."""
        wanted = Counter({("slow", "completed"): count, **{(n, "completed"): c for n, c in others.items()}})
        wanted = +wanted
        began = time.monotonic()
        wait_until(lambda: self.contexts() == wanted, seconds=seconds)
        return time.monotonic() - began

    def append(self, count: int, **data: Any) -> list[NewEvent]:
        """Put events straight into the log, so that no bell is rung."""
        events = [
            NewEventFactory(type="slow.asked", route="slow", data=json.dumps({"n": n, **data})) for n in range(count)
        ]
        self.store.events.append(events)
        return events

    def claimed(self) -> int:
        return self.store.claims.backlog(["slow"])["slow"].claims


def send(client: httpx.Client, count: int, **data: Any) -> list[str]:
    """Send slow events in one batch; their ids."""
    body = "\n".join(json.dumps({"type": "slow.asked", "data": {"n": n, **data}}) for n in range(count))
    answer = client.post("/events/batch", content=body, headers=NDJSON)
    assert answer.status_code == 202, answer.text
    return [item["event_id"] for item in answer.json()["items"]]


@contextmanager
def running(folder: Path, database: str, broker: str, elasticsearch: str, **settings: str) -> Iterator[Scale]:
    index = f"test-{uuid4().hex}"
    named = {"database_url": database, "celery_broker_url": broker, "elasticsearch_url": elasticsearch}
    with opened(database) as store, processes(
        folder, elasticsearch_index=index, **{**named, "pipelines": SLOW, **settings}
    ) as found:  # fmt: skip
        yield Scale(found, store)


@pytest.fixture
def scale(tmp_path: Path, postgres_url: str, broker: str, elasticsearch_url: str) -> Iterator[Scale]:
    with running(tmp_path, postgres_url, broker, elasticsearch_url, lease_seconds="3") as found:
        yield found


def beat(scale: Scale, **settings: str) -> Any:
    return scale.processes.start("playhead", "beat", **settings)


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


def loses_its_broker(scale: Scale, away: AbstractContextManager[None]) -> None:
    """Take the broker away while a turn is under way, and send meanwhile."""
    worker = scale.processes.worker()
    beat(scale)
    _, client = scale.processes.serve()
    send(client, 5)
    scale.done(5)
    # A turn that outlasts the broker: its message cannot be acknowledged.
    send(client, 1, seconds=3)
    wait_until(scale.claimed, seconds=5)

    with away:
        # Long enough for waits that grow to have grown.
        for _ in range(6):
            began = time.monotonic()
            assert send(client, 5)
            assert time.monotonic() - began < 1
            time.sleep(2)
        # That turn may have taken some of them.
        assert scale.contexts()["slow", "completed"] < 36

    assert scale.done(36) < 5
    assert worker.terminate() == 0


def test_a_redis_that_was_away_costs_latency_alone(tmp_path: Path, postgres_url: str, elasticsearch_url: str) -> None:
    port = free_port()
    server = ExitStack()

    @contextmanager
    def away() -> Iterator[None]:
        server.close()
        yield
        server.enter_context(redis_server(tmp_path, port))

    with server, running(tmp_path, postgres_url, f"redis://127.0.0.1:{port}/0", elasticsearch_url) as scale:
        server.enter_context(redis_server(tmp_path, port))
        loses_its_broker(scale, away())


@pytest.mark.rabbitmq
def test_a_rabbitmq_that_was_away_costs_latency_alone(
    tmp_path: Path, postgres_url: str, rabbitmq_url: str, elasticsearch_url: str
) -> None:
    with Door.before(rabbitmq_url) as (door, broker), own_queues(rabbitmq_url) as queues:

        @contextmanager
        def away() -> Iterator[None]:
            door.shut()
            yield
            door.open()

        door.open()
        with running(tmp_path, postgres_url, broker, elasticsearch_url, pipeline_queues=queues) as scale:
            loses_its_broker(scale, away())


def test_elasticsearch_that_was_away_is_caught_up_with(
    tmp_path: Path, postgres_url: str, broker: str, elasticsearch_url: str
) -> None:
    with (
        Door.before(elasticsearch_url) as (door, elasticsearch),
        running(tmp_path, postgres_url, broker, elasticsearch) as scale,
    ):
        scale.processes.worker()
        beat(scale)
        _, client = scale.processes.serve()
        send(client, 10, emits=True)
        scale.done(10, quick=10)
        assert client.post("/search", json={"size": 0}).status_code == 503

        door.open()

        def found() -> bool:
            answer = client.post("/search", json={"size": 0})
            return answer.status_code == 200 and answer.json()["total"] == 20

        wait_until(found, seconds=20)


@contextmanager
def own_queues(url: str) -> Iterator[str]:
    """`PIPELINE_QUEUES` of a queue that no other test uses, removed at the end."""
    queue = f"test-{uuid4().hex}"
    yield json.dumps(dict.fromkeys(("slow", "quick", "follow-ups", "index"), queue))
    with Connection(url) as connection:
        connection.default_channel.queue_delete(queue)


@pytest.mark.rabbitmq
def test_the_same_service_on_rabbitmq(
    tmp_path: Path, postgres_url: str, rabbitmq_url: str, elasticsearch_url: str
) -> None:
    with (
        own_queues(rabbitmq_url) as queues,
        running(tmp_path, postgres_url, rabbitmq_url, elasticsearch_url, pipeline_queues=queues) as scale,
    ):
        worker = scale.processes.worker()
        beat(scale)
        _, client = scale.processes.serve()
        send(client, 50, emits=True)
        assert scale.done(50, quick=50) < 5
        assert worker.terminate() == 0


@pytest.mark.rabbitmq
def test_two_workers_of_one_machine_hear_side_by_side_on_rabbitmq(
    tmp_path: Path, postgres_url: str, rabbitmq_url: str, elasticsearch_url: str
) -> None:
    with (
        own_queues(rabbitmq_url) as queues,
        running(tmp_path, postgres_url, rabbitmq_url, elasticsearch_url, pipeline_queues=queues) as scale,
    ):
        workers = [scale.processes.worker(), scale.processes.worker()]
        assert [worker.terminate() for worker in workers] == [0, 0]


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
