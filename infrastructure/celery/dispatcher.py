"""CeleryDispatcher: rings by Celery messages, from one thread a process, so that no caller ever waits for a broker."""

import threading
import time
from collections.abc import Callable
from typing import Self

import structlog

from application.ports.dispatcher import Dispatcher
from infrastructure.celery.app import BELL_EXPIRES, PROCESS, RING, make_celery, queue_of
from infrastructure.settings import Settings

COALESCE_SECONDS = 0.01
"""A subscription is rung at most once in this time."""
RETRY_SECONDS = 2.0
"""How long after a failed publish the next one is tried."""

Publish = Callable[[str, str | None], None]


class CeleryDispatcher(Dispatcher):
    """Remembers who is to be rung (a name each, however often), and rings them from its own thread."""

    def __init__(self, publish: Publish) -> None:
        """`publish` sends the message for a subscription, naming an event where one is known; it may raise."""
        self._publish = publish
        self._pending: dict[str, str | None] = {}
        self._rung_at: dict[str, float] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._log = structlog.get_logger("playhead.bell")

    @classmethod
    def to(cls, settings: Settings) -> Self:
        """A dispatcher to the broker of the settings. Nothing is connected before the first ring."""
        app = make_celery(settings, ())

        def publish(subscription: str, event_id: str | None) -> None:
            task, argument = (RING, subscription) if event_id is None else (PROCESS, event_id)
            queue = queue_of(settings, subscription)
            app.send_task(task, [argument], queue=queue, retry=False, ignore_result=True, expires=BELL_EXPIRES)

        return cls(publish)

    def ring(self, subscription: str, *, event_id: str | None = None) -> None:
        with self._changed:
            if event_id is not None or subscription not in self._pending:
                self._pending[subscription] = event_id
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            subscription, event_id = self._next()
            try:
                self._publish(subscription, event_id)
            except Exception as error:  # noqa: BLE001  # a broker can fail in any way; the work is in the database
                self._log.warning("ring_failed", subscription=subscription, error=str(error)[:200])
                with self._changed:
                    self._pending.setdefault(subscription, event_id)
                time.sleep(RETRY_SECONDS)

    def _next(self) -> tuple[str, str | None]:
        """Wait for a subscription that is to be rung and was not rung just now.

        It is taken off before it is rung: a ring that comes meanwhile is a new one, so the last is never lost.
        """
        with self._changed:
            while True:
                now = time.monotonic()
                waits = {name: self._rung_at.get(name, 0.0) + COALESCE_SECONDS - now for name in self._pending}
                due = next((name for name, wait in waits.items() if wait <= 0), None)
                if due is not None:
                    self._rung_at[due] = now
                    return due, self._pending.pop(due)
                self._changed.wait(timeout=min(waits.values(), default=None))
