"""Faults: counts the calls through the ports, and breaks one of them, before or after it is carried out."""

from collections.abc import Callable
from typing import Any, Literal

from domain.errors import Unavailable

Point = tuple[str, str, Literal["before", "after"]]
Action = Literal["die", "fail"]
NEVER_FAIL = frozenset({"dispatcher", "journal"})
"""Ports that promise never to raise. A ring that fails is a bell that is lost."""
INDEX_LOOKS = frozenset({"indices", "search", "state", "expected", "documents"})
"""The methods of a search index that change nothing."""


class Died(BaseException):
    """The process is gone. No `except Exception` catches it, and no port of a dead process answers again."""


class Faults:
    """Breaks the occurrence number `at` (from 1) of all points that a scenario passes; 0 breaks none.

    `die`: the process ends there. `fail`: before a call, it is not carried out and raises as a lost connection does;
    after a call, it was carried out *and* is answered as failed.
    """

    def __init__(self, at: int = 0, action: Action = "die", *, writes: Callable[[], int] = lambda: 0) -> None:
        """`writes` says how often the database was opened for writing so far."""
        self.passed: list[Point] = []
        self.looks: set[int] = set()
        """The numbers (from 1) of the points before and after a call that changed nothing."""
        self.fired: Point | None = None
        self.dead = False
        self._at = at
        self._action = action
        self._writes = writes

    @staticmethod
    def can_happen(point: Point, action: Action) -> bool:
        """Whether a fault of this kind can happen at a point."""
        port, _, side = point
        if action == "die":
            return side == "after" or port in NEVER_FAIL
        return port not in NEVER_FAIL or (port == "dispatcher" and side == "before")

    def is_like_another(self, number: int, action: Action) -> bool:
        """Whether a fault at a point of a finished run does what one at another point does.

        A process that dies before a call leaves the world as one that died after the call before it. Where a call
        changes nothing, so does one that dies after it, and it fails alike on either side.
        """
        before = self.passed[number - 1][2] == "before"
        if action == "die":
            return before or number in self.looks
        return not before and number in self.looks

    def around(self, port: str, method: str, call: Callable[[], Any], _: tuple[Any, ...]) -> Any:
        """Carry out a call, unless it is the one to break."""
        if self._is_broken((port, method, "before")) and port in NEVER_FAIL:
            return None
        number, written = len(self.passed), self._writes()
        result = call()
        self._is_broken((port, method, "after"))
        if _is_look(port, method, wrote=self._writes() > written):
            self.looks |= {number, len(self.passed)}
        return result

    def die(self) -> None:
        """End the process here and now."""
        self.dead = True
        raise Died

    def _is_broken(self, point: Point) -> bool:
        if self.dead:
            raise Died  # a handler that caught the death of its process has none of its ports left
        self.passed.append(point)
        if len(self.passed) != self._at:
            return False
        self.fired = point
        if self._action == "die":
            self.die()
        if point[0] not in NEVER_FAIL:
            raise Unavailable(f"The connection was lost {point[2]} {point[0]}.{point[1]} (planted).")
        return True


def _is_look(port: str, method: str, *, wrote: bool) -> bool:
    """Whether a call has changed nothing that outlives its process."""
    if port in NEVER_FAIL:
        return port == "journal"
    return method in INDEX_LOOKS if port == "search" else not wrote
