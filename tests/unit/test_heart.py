"""Heart: leases live as long as their runs, and no longer."""

import threading
import time
from collections.abc import Callable

from application.heart import Heart
from application.ports.claims import Claim
from domain.errors import Unavailable

LEASE = 0.06


def claim(number: int) -> Claim:
    return Claim(id=number, subscription="orders", first=1, last=1, attempt=0, deaths=0, fence=1)


class Beats:
    """Claims that remember heartbeats; `answer` may raise."""

    def __init__(self, answer: Callable[[], bool] = lambda: True) -> None:
        self.beats: list[tuple[int, float, object]] = []
        self._answer = answer
        self._changed = threading.Condition()

    def heartbeat(self, claim: Claim, *, lease: float, progress=None) -> bool:
        with self._changed:
            self.beats.append((claim.id, lease, progress))
            self._changed.notify_all()
        return self._answer()

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.beats) >= count, timeout=10)


def test_a_run_that_outlasts_its_lease_beats_with_its_progress() -> None:
    claims = Beats()
    heart = Heart(claims, lease=LEASE)

    with heart.beating(claim(7), lambda: {"progress": 0.5}):
        claims.wait_for(3)
    heart.stop()

    assert set(map(str, claims.beats)) == {str((7, LEASE, {"progress": 0.5}))}


def test_a_run_that_ended_is_not_beaten_for() -> None:
    claims = Beats()
    heart = Heart(claims, lease=LEASE)
    with heart.beating(claim(1), dict), heart.beating(claim(2), dict):
        claims.wait_for(2)
    time.sleep(LEASE)
    count = len(claims.beats)

    time.sleep(LEASE * 2)

    assert len(claims.beats) == count
    heart.stop()


def test_a_beat_that_fails_is_not_the_last() -> None:
    errors: list[Exception] = [Unavailable("away"), RuntimeError("a defect")]

    def answer() -> bool:
        if errors:
            raise errors.pop()
        return True

    claims = Beats(answer)
    heart = Heart(claims, lease=LEASE)

    with heart.beating(claim(1), dict):
        claims.wait_for(4)
    heart.stop()


def test_a_stopped_heart_beats_no_more() -> None:
    claims = Beats()
    heart = Heart(claims, lease=LEASE)
    with heart.beating(claim(1), dict):
        claims.wait_for(1)
        heart.stop()
        count = len(claims.beats)
        time.sleep(LEASE * 2)

    assert len(claims.beats) == count
