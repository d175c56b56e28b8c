"""Follower: tells waiting requests that their event has ended; one a process, polling only while someone waits."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress

from application.ports.context_log import ContextLog, ContextStatus

POLL_SECONDS = 0.01
_PAGE = 2_000


class Follower:
    """Follows the contexts log from where it stood when the first waiter came."""

    def __init__(self, contexts: ContextLog) -> None:
        self._contexts = contexts
        self._waiting: dict[int, list[Future[None]]] = {}
        self._position = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def watch(self, event_position: int) -> "Future[None]":
        """A future that is done when the event ends from now on. Whether it had ended before, ask afterwards.

        Raises:
            Unavailable: the database cannot be reached.
        """
        watched: Future[None] = Future()
        # Read before the caller looks at the event's state: what ends after that look lies behind it.
        head = self._contexts.head()
        with self._changed:
            if not self._waiting:
                self._position = head
            self._waiting.setdefault(event_position, []).append(watched)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
                self._thread.start()
            self._changed.notify()
        return watched

    def forget(self, event_position: int, watched: "Future[None]") -> None:
        """The request waits no longer."""
        with self._changed:
            others = [other for other in self._waiting.pop(event_position, []) if other is not watched]
            if others:
                self._waiting[event_position] = others

    def stop(self) -> None:
        """End the thread; nobody is told any more."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                position = self._position
            # When the database is away, or fails in any other way, waiters wait on; their own time limit ends them.
            with suppress(Exception):
                self._tell(self._contexts.ended(position, limit=_PAGE))
            time.sleep(POLL_SECONDS)

    def _tell(self, ended: Sequence[tuple[int, int, ContextStatus]]) -> None:
        done: list[Future[None]] = []
        with self._changed:
            for position, event_position, status in ended:
                self._position = max(self._position, position)
                if status != "failed":
                    done += self._waiting.pop(event_position, [])
        for watched in done:
            if watched.set_running_or_notify_cancel():
                watched.set_result(None)
