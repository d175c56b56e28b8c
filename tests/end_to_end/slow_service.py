"""The service at scale with pipelines that are slow, and what a test looks at from outside."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import text

from domain.events import NewEvent
from infrastructure.sql.store import SqlStore
from tests.end_to_end.processes import LIVE_CONTEXTS, counted, wait_until
from tests.end_to_end.scale import Processes, processes
from tests.factories import NewEventFactory
from tests.stores import opened

SLOW = "tests.end_to_end.slow_pipelines"
NDJSON = {"content-type": "application/x-ndjson"}


class Scale:
    """The processes of one test, and what it looks at from outside."""

    def __init__(self, found: Processes, store: SqlStore) -> None:
        self.processes = found
        self.store = store

    def contexts(self) -> Counter[tuple[str, str]]:
        """How many live contexts there are by pipeline and status; no event has two of a pipeline."""
        with self.store.engine.connect() as connection:
            return counted(connection.execute(text(LIVE_CONTEXTS)).all())

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


def beat(scale: Scale, **settings: str) -> Any:
    return scale.processes.start("playhead", "beat", **settings)
