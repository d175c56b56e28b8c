"""What is done every two seconds: the sweep, which finds due work that no bell has woken a worker for, and the like."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from application.ports.claims import Claims
from application.ports.dispatcher import Dispatcher
from application.ports.journal import Journal

SWEEP_SECONDS = 2.0
"""How often to sweep, and how long due work waits before the first ring."""
RING_AGAIN_SECONDS = 4.0
"""How long after a ring that led to no claim the next one comes."""


@dataclass(slots=True)
class _Waiting:
    mark: tuple[int, int]
    ring_at: float


class Sweeper:
    """Rings a subscription whose due work nobody claims: after 2 s, then every 4 s while no claim is made."""

    def __init__(
        self,
        claims: Claims,
        dispatcher: Dispatcher,
        subscriptions: Iterable[str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._claims = claims
        self._dispatcher = dispatcher
        self._subscriptions = list(subscriptions)
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}

    def sweep(self) -> list[str]:
        """Look once; the subscriptions that were rung.

        Raises:
            Unavailable: the database cannot be reached.
        """
        now = self._clock()
        rung = []
        for name, backlog in self._claims.backlog(self._subscriptions).items():
            if not backlog.has_due:
                self._waiting.pop(name, None)
                continue
            waiting = self._waiting.get(name)
            if waiting is None or waiting.mark != backlog.mark:
                self._waiting[name] = _Waiting(backlog.mark, now + SWEEP_SECONDS)
                continue
            if now >= waiting.ring_at:
                self._dispatcher.ring(name)
                waiting.ring_at = now + RING_AGAIN_SECONDS
                rung.append(name)
        return rung


Chore = Callable[[], object]


def do_chores(chores: Mapping[str, Chore], journal: Journal, *, stopping: threading.Event) -> None:
    """Do each of these every 2 s until told to stop. One that fails is told of, and done again."""
    while not stopping.wait(SWEEP_SECONDS):
        for name, chore in chores.items():
            try:
                chore()
            except Exception as error:  # noqa: BLE001  # whoever sweeps must outlive every error
                journal.failed(name, error)
