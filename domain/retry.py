"""Retry: a small value that decides whether, and after how long, a failed run is tried again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retry:
    """At most `attempts` runs; the wait grows from `base` seconds by doubling, up to `cap`, with full jitter.

    Full jitter draws the wait evenly from zero to its bound, so that what failed together does not return
    together (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).
    """

    attempts: int = 8
    base: float = 1.0
    cap: float = 300.0

    def delay(self, attempt: int, draw: float) -> float | None:
        """Seconds to wait after run number `attempt` (from 1) failed, None when it was the last.

        `draw` is a random number from 0 to 1, given by the caller so that this stays pure.
        """
        if attempt >= self.attempts:
            return None
        return float(min(self.cap, self.base * 2.0 ** min(attempt - 1, 60)) * draw)


NO_END = 1_000_000_000
"""As `attempts`: for work that is tried until it succeeds, such as indexing."""
