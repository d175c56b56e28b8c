"""Heart: one thread a process that keeps the leases of long runs alive."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from application.ports.claims import Claim, Claims
from application.pulse import LocalPulse, Pulse

Progress = Callable[[], Mapping[str, Any]]


class Heart:
    """Beats for every claim at work, three times a lease, and no longer than its run may take.

    A lost lease is not fought for: the fence decides.
    """

    def __init__(self, claims: Claims, *, lease: float, pulse: Pulse | None = None) -> None:
        """`pulse` is that of the engines whose claims these are."""
        self._claims = claims
        self._pulse = pulse or LocalPulse()
        self._lease = lease
        self._beating: dict[int, tuple[Claim, Progress, float]] = {}
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._wake = threading.Event()

    @contextmanager
    def beating(self, claim: Claim, progress: Progress, *, limit: float | None = None) -> Iterator[None]:
        """Extend the claim's lease for as long as the block runs, at most `limit` seconds."""
        with self._lock:
            self._beating[claim.id] = claim, progress, math.inf if limit is None else time.monotonic() + limit
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat, name="heart", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._beating.pop(claim.id, None)

    def stop(self) -> None:
        """End the thread; no lease is extended any more."""
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _beat(self) -> None:
        while not self._wake.wait(self._lease / 3):
            with self._lock:
                beating = list(self._beating.values())
            for claim, progress, end in beating:
                if time.monotonic() > end:
                    continue
                try:
                    self._claims.heartbeat(claim, lease=self._lease, progress=progress())
                    self._pulse.beat()
                except Exception:  # noqa: BLE001, S112  # the next beat tries again; if the lease runs out meanwhile, the fence decides
                    continue
