"""Readers: they follow both logs by position while everything breaks, and keep what they saw."""

import hashlib
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

LOGS = {
    "events": "position, CAST(id AS text) AS id, type, source, subject, route, data, key",
    "task_contexts": "position, event_position, pipeline, generation, status, digest",
}
"""The logs, and what of each row is compared."""
_PAGE = 2000


def rows_after(engine: Engine, log: str, position: int) -> Sequence[Any]:
    """The next page of a log."""
    query = f"SELECT {LOGS[log]} FROM {log} WHERE position > :position ORDER BY position LIMIT {_PAGE}"
    with engine.connect() as connection:
        return connection.execute(text(query), {"position": position}).all()


def digest(row: Any) -> str:
    """What a row is known again by."""
    return hashlib.sha256(repr([str(value) for value in row]).encode()).hexdigest()[:16]


@dataclass
class Reader:
    """Follows both logs. `breaks` names each place where a position did not follow its predecessor."""

    engine: Engine
    pause: float
    seen: dict[str, list[str]] = field(default_factory=lambda: {log: [] for log in LOGS})
    breaks: list[str] = field(default_factory=list)
    ended: set[int] = field(default_factory=set)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Read to the end, and stop."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(30)
        self.read()

    def read(self) -> None:
        """Read what has come."""
        for log in LOGS:
            while rows := rows_after(self.engine, log, len(self.seen[log])):
                for row in rows:
                    self._take(log, row)

    @property
    def waiting(self) -> int:
        """How many events that it saw have not ended."""
        return len(self.seen["events"]) - len(self.ended)

    def _take(self, log: str, row: Any) -> None:
        if row.position != len(self.seen[log]) + 1:
            self.breaks.append(f"{log}: after {len(self.seen[log])} came {row.position}")
        self.seen[log].append(digest(row))
        if log == "task_contexts" and row.status in {"completed", "dead"}:
            self.ended.add(row.event_position)

    def _run(self) -> None:
        while not self._stopping.wait(self.pause):
            with suppress(SQLAlchemyError):  # the database is away
                self.read()


@dataclass
class Sampler:
    """Looks twice a second how far everything is behind."""

    engine: Engine
    reader: Reader
    samples: list[dict[str, Any]] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        threading.Thread(target=self._run, name="sampler", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(0.5):
            sample: dict[str, Any] = {"at": time.time(), "waiting": self.reader.waiting, "index": None}
            with suppress(SQLAlchemyError):
                sample["index"] = self._index_lag()
            self.samples.append(sample)

    def _index_lag(self) -> int:
        query = "SELECT (SELECT position FROM heads WHERE log = 'task_contexts') - cursor FROM subscriptions"
        claimed = "SELECT coalesce(sum(last_position - first_position + 1), 0) FROM claims WHERE subscription = 'index'"
        with self.engine.connect() as connection:
            behind = connection.execute(text(f"{query} WHERE name = 'index'")).scalar() or 0
            return int(behind) + int(connection.execute(text(claimed)).scalar() or 0)
