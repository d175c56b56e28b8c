"""Events that end whoever runs them: each is a dead letter with its reason, and its neighbours end well, once."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic_core import from_json

from application.subscription import Selection
from infrastructure.sql.store import SqlStore
from tests.end_to_end.processes import ROOT, environment, free_port, is_ready, started, wait_until
from tests.end_to_end.scale import processes
from tests.servers import redis_server
from tests.stores import opened

PIPELINES = "tests.end_to_end.deadly_pipelines"
REASONS = {
    "raises": "ValueError",
    "hogs": "MemoryError",
    "exits": "WorkerDied",
    "crashes": "WorkerDied",
    "killed": "WorkerDied",
    "loops": "WorkerDied",
}
WELL = 30
NDJSON = {"Content-Type": "application/x-ndjson"}


def send(client: httpx.Client) -> None:
    """Thirty events that end well, and among them one of each kind that does not."""
    ends = ["well"] * 10 + [end for each in REASONS for end in (each, "well", "well")] + ["well"] * 8
    events = [{"type": "deadly.asked", "data": {"n": n, "end": end}} for n, end in enumerate(ends)]
    answer = client.post("/events/batch", content="\n".join(map(json.dumps, events)), headers=NDJSON)
    assert answer.status_code == 202, answer.text


def ended(store: SqlStore) -> Counter[str]:
    """How many contexts end an event, by status."""
    found = Counter(context.status for context in store.contexts.read(Selection(), limit=1000))
    return Counter({status: found[status] for status in ("completed", "dead") if found[status]})


def assert_each_has_its_end(store: SqlStore) -> None:
    wanted = {event.position: from_json(event.data)["end"] for event in store.events.read(Selection(), limit=1000)}
    ends: dict[int, list[Any]] = {position: [] for position in wanted}
    for context in store.contexts.read(Selection(), limit=1000):
        if context.status in {"completed", "dead"}:
            failure = from_json(context.context)["run"].get("failure")
            ends[context.event_position].append(failure["type"] if failure else None)
    assert ends == {position: [REASONS.get(end)] for position, end in wanted.items()}


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("redis_url")
def test_events_that_end_their_worker_end_as_dead_letters_at_scale(tmp_path: Path, postgres_url: str) -> None:
    port = free_port()
    broker = f"redis://127.0.0.1:{port}/0"
    settings = {"database_url": postgres_url, "celery_broker_url": broker, "pipelines": PIPELINES}
    with (
        redis_server(tmp_path, port),
        opened(postgres_url) as store,
        processes(tmp_path, lease_seconds="1.5", **settings) as found,
    ):
        worker = found.worker(WORKER_CONCURRENCY="2")
        found.start("playhead", "beat")
        _, client = found.serve()

        send(client)

        wait_until(lambda: ended(store) == {"completed": WELL, "dead": len(REASONS)}, seconds=200, log=worker.stderr)
        assert_each_has_its_end(store)
        assert worker.popen.poll() is None


@pytest.mark.timeout(240)
def test_events_that_end_the_embedded_service_are_dead_letters_once_it_was_started_again(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "dev.log"
    env = environment(tmp_path / "home", pipelines=PIPELINES, pythonpath=str(ROOT), lease_seconds="5")
    codes = []
    url = f"sqlite:///{tmp_path / 'home/playhead.db'}"

    def done() -> bool:
        with opened(url) as store:
            return ended(store) == {"completed": WELL, "dead": len(REASONS)}

    for start in range(30):
        with started(["playhead", "dev", "--port", str(port)], env, log) as process:
            if start == 0:
                wait_until(lambda: is_ready(port), seconds=20, log=log)
                with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                    send(client)
            wait_until(lambda: process.poll() is not None or done(), seconds=30, log=log)
            codes.append(process.poll())
        if codes[-1] is None:
            break

    with opened(url) as store:
        assert_each_has_its_end(store)
    assert set(codes) == {None, 9, -11, -9, 70}
