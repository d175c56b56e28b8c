"""The progress of a replay for people: events, speed, the time that is left, failures, and how far live work lags."""

import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from interfaces.cli import output

if TYPE_CHECKING:
    from application.use_cases.replaying import Progress
    from infrastructure.container import Container

_LOOK_SECONDS = 1.0
_SPEED_SECONDS = 15.0
"""The speed is that of this long."""


class Watched:
    """Looks how far a replay is, at most once a second."""

    def __init__(self, container: "Container", replay: Any, *, total: int) -> None:
        """`total` is how many events there are to end."""
        from application.use_cases.replay_run import EndedEvents

        self._container = container
        self._replay = replay
        self._total = total
        self._counting = EndedEvents(replay, claims=container.claims(), events=container.events())
        self._live = [each.name for each in container.subscriptions().values() if each.route is not None]
        self._seen: deque[tuple[float, int]] = deque()
        self._looked = 0.0

    def look(self) -> "tuple[Progress, str]":
        """How far it is, also in words."""
        from application.use_cases.replay_run import live_lag
        from application.use_cases.replaying import replay_progress

        container = self._container
        found = replay_progress(
            self._replay,
            claims=container.claims(),
            events=container.events(),
            contexts=container.contexts(),
            replays=container.replays(),
            ended=self._counting,
        )
        lag, _ = live_lag(self._live, claims=container.claims())
        words = [f"{self._speed(found.ended):,.0f}/s", *self._left(found.ended), f"{found.dead:,} failed"]
        waiting = [f"{found.waiting:,} with effects that wait"] if found.waiting else []
        return found, ", ".join([*words, *waiting, f"live lag {lag:,}"])

    def draw(self, bar: output.Progress) -> None:
        """Look, where it is time to, and draw; a database that is away is no reason to end."""
        from domain.errors import Unavailable

        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        with suppress(Unavailable):
            found, words = self.look()
            bar.to(found.ended, self._total, words)

    def _speed(self, ended: int) -> float:
        now = time.monotonic()
        self._seen.append((now, ended))
        while self._seen[0][0] < now - _SPEED_SECONDS:
            self._seen.popleft()
        began, before = self._seen[0]
        return (ended - before) / (now - began) if now > began else 0.0

    def _left(self, ended: int) -> list[str]:
        speed = self._seen and self._seen[-1][1] - self._seen[0][1]
        if not speed:
            return []
        seconds = (self._total - ended) / speed * (self._seen[-1][0] - self._seen[0][0])
        return [f"{seconds:,.0f} s left" if seconds < 120 else f"{seconds / 60:,.0f} min left"]
