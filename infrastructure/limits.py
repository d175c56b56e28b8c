"""ProcessLimits: ends this process when a run takes too long, also where it never gives up the interpreter."""

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from application.ports.claims import Claim
from application.ports.limits import Limits

PAST_LIMIT = 70
"""The exit code of a process that was ended so (EX_SOFTWARE of sysexits.h)."""
_DEAF_SECONDS = 1.0
"""How long after the limit a run that keeps the interpreter (a regular expression, say) is ended from outside of it."""


class ProcessLimits(Limits):
    """A timer ends the process and says why; where no thread gets its turn, faulthandler's own does, with the stack."""

    def __init__(self) -> None:
        self._ends: dict[int, float] = {}
        self._lock = threading.Lock()
        self._log = structlog.get_logger("playhead")

    @contextmanager
    def within(self, seconds: float, claim: Claim, where: Callable[[], str]) -> Iterator[None]:
        timer = threading.Timer(seconds, self._end, (seconds, claim, where))
        timer.daemon = True
        timer.start()
        self._arm(claim.id, time.monotonic() + seconds + _DEAF_SECONDS)
        try:
            yield
        finally:
            timer.cancel()
            self._arm(claim.id, None)

    def _arm(self, claim_id: int, end: float | None) -> None:
        """Let faulthandler, which has one timer a process, end it at the earliest of the ends."""
        with self._lock:
            if end is None:
                self._ends.pop(claim_id, None)
            else:
                self._ends[claim_id] = end
            if not self._ends:
                faulthandler.cancel_dump_traceback_later()
                return
            left = max(0.1, min(self._ends.values()) - time.monotonic())
            faulthandler.dump_traceback_later(left, exit=True, file=sys.__stderr__ or 2)

    def _end(self, seconds: float, claim: Claim, where: Callable[[], str]) -> None:
        self._log.critical(
            "run_past_limit",
            subscription=claim.subscription,
            first=claim.first,
            last=claim.last,
            deaths=claim.deaths,
            at=where(),
            limit=seconds,
            note="the process ends; another takes the claim, event by event",
        )
        sys.stderr.flush()
        os._exit(PAST_LIMIT)
