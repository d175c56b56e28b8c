"""Retry: a small value that decides whether, and after how long, a failed run is tried again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retry:
    """At most `attempts` runs; the wait grows from `base` seconds by doubling, up to `cap`, with full jitter.

    Full jitter draws the wait evenly from zero to its bound, so that what failed together does not return
    together (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).

    With a `schedule` the waits are these, to the second, and there is one run more than there are waits.
    """

    attempts: int = 8
    base: float = 1.0
    cap: float = 300.0
    schedule: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.schedule:
            object.__setattr__(self, "attempts", len(self.schedule) + 1)
            object.__setattr__(self, "cap", max(self.schedule))

    def delay(self, attempt: int, draw: float) -> float | None:
        """Seconds to wait after run number `attempt` (from 1) failed, None when it was the last.

        `draw` is a random number from 0 to 1, given by the caller so that this stays pure.
        """
        if attempt >= self.attempts:
            return None
        if self.schedule:
            return self.schedule[attempt - 1]
        return float(min(self.cap, self.base * 2.0 ** min(attempt - 1, 60)) * draw)


NO_END = 1_000_000_000
"""As `attempts`: for work that is tried until it succeeds, such as indexing."""
