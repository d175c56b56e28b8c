"""EngineThreads: the engine on threads inside the API process; a ring wakes one of them."""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress

from application.engine import Engine
from application.ports.dispatcher import Dispatcher
from application.ports.journal import Journal
from application.sweep import SWEEP_SECONDS, Chore, do_chores
from domain.errors import Unavailable


class EngineThreads(Dispatcher):
    """Works rung subscriptions, each by at most one thread at a time, in the order of the rings.

    SQLite has one writer, so a second thread on one subscription would only wait for the first.
    """

    def __init__(self, *, threads: int) -> None:
        self._count = threads
        self._rung: OrderedDict[str, None] = OrderedDict()
        self._working: set[str] = set()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._engine: Engine | None = None

    def ring(self, subscription: str, *, event_id: str | None = None) -> None:  # noqa: ARG002  # a thread needs no id
        with self._changed:
            self._rung[subscription] = None
            self._changed.notify()

    def start(self, engine: Engine, chores: Mapping[str, Chore], journal: Journal) -> None:
        """Start the threads, and work one turn of each subscription unasked. `chores` are done every 2 s, by name."""
        self._engine = engine
        for name in engine.works:
            self.ring(name)
        targets = [("chores", lambda: do_chores(chores, journal, stopping=self._stopping))]
        targets += [(f"engine-{number}", lambda: self._run(engine, journal)) for number in range(self._count)]
        for name, target in targets:
            thread = threading.Thread(target=target, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, seconds: float = 10.0) -> None:
        """Hand back what has not run, wait some seconds for what runs, and put back what runs still."""
        if self._engine is not None:
            self._engine.stop()
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(timeout=max(0.0, end - time.monotonic()))
        # Last: what still ran needed its lease.
        if self._engine is not None:
            if any(thread.is_alive() for thread in self._threads):
                with suppress(Unavailable):  # its leases run out
                    self._engine.release()
            self._engine.heart.stop()

    def _run(self, engine: Engine, journal: Journal) -> None:
        while (name := self._next()) is not None:
            try:
                engine.turn(name)
            except Exception as error:  # noqa: BLE001  # a thread that ends would leave the service deaf; the sweep rings again
                journal.failed(f"turn of {name}", error)
            finally:
                with self._changed:
                    self._working.discard(name)
                    self._changed.notify()

    def _next(self) -> str | None:
        """Wait for a rung subscription that no other thread works."""
        with self._changed:
            while not self._stopping.is_set():
                for name in self._rung:
                    if name not in self._working:
                        del self._rung[name]
                        self._working.add(name)
                        return name
                self._changed.wait(timeout=SWEEP_SECONDS)
        return None
