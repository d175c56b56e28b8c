"""Pulse and Watchdog: whether an engine still works: it claimed, or looked and found nothing, lately."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from application.ports.claims import Claims
from application.subscription import Subscription


class Pulse(Protocol):
    """When an engine last claimed, worked on, or looked and found nothing."""

    @property
    def last(self) -> float:
        """A time of the machine's monotonic clock, in seconds."""
        ...

    def beat(self) -> None:
        """It does so now."""
        ...


class LocalPulse(Pulse):
    """The pulse of engines in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    @property
    def last(self) -> float:
        """A time of the clock, in seconds."""
        return self._last

    def beat(self) -> None:
        self._last = self._clock()


ABSENT_SECONDS = 10.0
"""Who has not looked for so long was itself stopped, or waited for the database: it may have missed nothing."""


class Watchdog:
    """Looks every few seconds whether there is work that could be claimed now, and nobody here claims."""

    def __init__(
        self,
        claims: Claims,
        subscriptions: Iterable[Subscription],
        pulse: Pulse,
        *,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`patience` is for how many seconds that may be so."""
        self._claims = claims
        self._subscriptions: Sequence[Subscription] = list(subscriptions)
        self._pulse = pulse
        self._patience = patience
        self._clock = clock
        self._since: float | None = None
        self._looked = clock()
        self.stalled: str | None = None
        """The subscription with work that nobody here claims, as of the last look; None while all is well."""

    def look(self) -> str | None:
        """Look now; what `stalled` then is.

        Raises:
            Unavailable: the database cannot be reached. Nothing could be claimed meanwhile.
        """
        now = self._clock()
        if now - self._looked > ABSENT_SECONDS:
            self._since = None
        self._looked = now
        self.stalled, since, self._since = None, self._since, None
        name = next((each.name for each in self._subscriptions if self._claims.claimable(each)), None)
        if name is not None:
            self._since = now if since is None else since
            if now - max(self._since, self._pulse.last) >= self._patience:
                self.stalled = name
        return self.stalled
