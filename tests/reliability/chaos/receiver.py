"""The receiver of a run's calls: it keeps each, and looks at once whether the commit that declared it is there."""

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from tests.reliability.chaos.history import History
from tests.servers import Received, Reply

_COMMITTED = text(
    "SELECT 1 FROM task_contexts c JOIN events e ON e.position = c.event_position "
    "WHERE e.source = 'chaos' AND e.key = :key AND c.status = 'completed'"
)


@dataclass
class Ear:
    """What the receiver does with a request. Some ids are refused once, so that they are tried again."""

    engine: Engine
    history: History
    _refused: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, received: Received) -> Reply:
        at = time.time()
        nonce = json.loads(received.body)["nonce"]
        committed = self._committed(nonce)
        with self._lock:
            refuse = received.id.endswith("77") and received.id not in self._refused
            if refuse:
                self._refused.add(received.id)
        self.history.add(
            "heard", id=received.id, nonce=nonce, body=received.body.decode(), committed=committed, came=at,
            status=500 if refuse else 200,
        )  # fmt: skip
        return Reply(status=500 if refuse else 200)

    def _committed(self, nonce: str) -> bool | None:
        """None: the database is away, so nobody can tell."""
        keys = [nonce] if "/" not in nonce else [nonce, nonce.partition("/")[0]]
        with suppress(SQLAlchemyError), self.engine.connect() as connection:
            return any(connection.execute(_COMMITTED, {"key": key}).first() is not None for key in keys)
        return None
