"""Admission: events are refused before they are accepted while too many of their pipeline wait."""

import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from application.ports.claims import Backlog, Claims
from application.ports.event_log import EventLog
from application.subscription import Selection
from domain.errors import Overloaded

LOOK_SECONDS = 1.0
"""How often the backlogs are looked at, while events come."""
OPEN_AGAIN = 0.8
"""The share of the limit below which a pipeline's events are taken again."""
_SHORTEST, _LONGEST, _UNKNOWN = 1.0, 300.0, 10.0
"""Seconds that a sender is told to wait: at least, at most, and while nobody knows how fast the backlog shrinks."""


@dataclass(slots=True)
class _Closed:
    waiting: int
    looked_at: float
    rate: float = 0.0
    """Events a second by which the backlog shrinks."""


class Admission:
    """The door of each pipeline. It closes at a limit of waiting events, and opens again well below it.

    One thread looks, and only while events come; who asks never waits for a database. While that cannot be reached,
    the doors stay as they are.
    """

    def __init__(
        self,
        claims: Claims,
        events: EventLog,
        *,
        limit: int,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`limit` is how many events of a pipeline may wait, 0 for no limit."""
        self._claims = claims
        self._events = events
        self._limit = limit
        self._clock = clock
        self._draw = draw
        self._closed: dict[str, _Closed] = {}
        self._asked = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def require(self, pipeline: str | None) -> None:
        """Let an event of a pipeline pass (None: an unrouted one, for which nothing waits).

        Raises:
            Overloaded: too many wait; says after how many seconds it is worth trying again.
        """
        if not self._limit or pipeline is None:
            return
        if not self._asked.is_set():  # a tenth of what it costs to set it again, which is done for each event
            self._asked.set()
        if self._thread is None:
            self._start()
        door = self._closed.get(pipeline)
        if door is not None:
            seconds = self._seconds(door)
            raise Overloaded(
                f"{door.waiting:,} events of pipeline {pipeline!r} wait, and at most {self._limit:,} may. "
                f"Try again in {seconds:.0f} s.",
                retry_after=seconds,
            )

    def look(self) -> None:
        """Look at the backlogs now, and close or open the doors.

        Raises:
            Unavailable: the database cannot be reached.
        """
        waiting = self._waiting()
        now = self._clock()
        for pipeline, count in waiting.items():
            door = self._closed.get(pipeline)
            if door is None:
                if count >= self._limit:
                    self._closed[pipeline] = _Closed(count, now)
            elif count < self._limit * OPEN_AGAIN:
                del self._closed[pipeline]
            elif now > door.looked_at:
                rate = (door.waiting - count) / (now - door.looked_at)
                # Smoothed: one look may fall into a claim of many events.
                smooth = rate if not door.rate else 0.7 * door.rate + 0.3 * rate
                self._closed[pipeline] = _Closed(count, now, max(0.0, smooth))

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._asked.set()

    def _waiting(self) -> Mapping[str, int]:
        """How many events of each pipeline have not ended; counted one by one only where there may be too many."""
        backlogs = self._claims.backlog(self._claims.subscriptions())
        found: dict[str, int] = {}
        for backlog in backlogs.values():
            if backlog.route is not None:
                # Positions: those of other pipelines and lanes in between are among them.
                found[backlog.route] = found.get(backlog.route, 0) + backlog.claimed + backlog.head - backlog.cursor
        for route, at_most in found.items():
            if at_most >= self._limit * OPEN_AGAIN:
                found[route] = sum(
                    self._count(name, backlog) for name, backlog in backlogs.items() if backlog.route == route
                )
        return found

    def _count(self, name: str, backlog: Backlog) -> int:
        behind = self._count_events(backlog, after=backlog.cursor)
        ranges = self._claims.ranges(name)
        return behind + sum(
            1 if first == last else self._count_events(backlog, after=first - 1, last=last) for first, last in ranges
        )

    def _count_events(self, backlog: Backlog, *, after: int, last: int | None = None) -> int:
        where = {"route": backlog.route, "direct": False}
        selection = Selection(where=where, after=after, last=last, lane=backlog.lane)
        return sum(self._events.count(selection).values())

    def _seconds(self, door: _Closed) -> float:
        if not door.rate:
            return _UNKNOWN
        needed = (door.waiting - self._limit * OPEN_AGAIN) / door.rate
        # Spread, so that those who were refused together do not return together.
        return min(_LONGEST, max(_SHORTEST, needed * (0.8 + 0.4 * self._draw())))

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="admission", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while self._asked.wait() and not self._stopping.is_set():
            self._asked.clear()
            with suppress(Exception):  # the database is away: the doors stay, and the append says so itself
                self.look()
            self._stopping.wait(LOOK_SECONDS)
