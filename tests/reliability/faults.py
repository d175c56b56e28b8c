"""Faults: counts the calls through the ports, and breaks one of them, before or after it is carried out."""

from collections.abc import Callable
from typing import Any, Literal

from domain.errors import Unavailable

Point = tuple[str, str, Literal["before", "after"]]
Action = Literal["die", "fail"]
NEVER_FAIL = frozenset({"dispatcher", "journal"})
"""Ports that promise never to raise. A ring that fails is a bell that is lost."""


class Died(BaseException):
    """The process is gone. No `except Exception` catches it, and no port of a dead process answers again."""


class Faults:
    """Breaks the occurrence number `at` (from 1) of all points that a scenario passes; 0 breaks none.

    `die`: the process ends there. `fail`: before a call, it is not carried out and raises as a lost connection does;
    after a call, it was carried out *and* is answered as failed.
    """

    def __init__(self, at: int = 0, action: Action = "die") -> None:
        self.passed: list[Point] = []
        self.fired: Point | None = None
        self.dead = False
        self._at = at
        self._action = action

    @staticmethod
    def has_effect(point: Point, action: Action) -> bool:
        """Whether a fault of this kind can happen at a point, and does what none at another point does.

        A process that dies before a call leaves the world as one that died after the call before it.
        """
        port, _, side = point
        if action == "die":
            return side == "after" or port in NEVER_FAIL
        return port not in NEVER_FAIL or (port == "dispatcher" and side == "before")

    def around(self, port: str, method: str, call: Callable[[], Any], _: tuple[Any, ...]) -> Any:
        """Carry out a call, unless it is the one to break."""
        if self._is_broken((port, method, "before")) and port in NEVER_FAIL:
            return None
        result = call()
        self._is_broken((port, method, "after"))
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
