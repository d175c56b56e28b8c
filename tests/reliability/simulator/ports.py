"""The ports of a simulated process: before and after each call others may go on, and the weather may strike."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from greenlet import GreenletExit

from domain.errors import Unavailable
from infrastructure.memory.search_index import MemorySearchIndex
from tests.reliability.simulator.loop import Actor, Loop
from tests.reliability.simulator.oracle import Oracle
from tests.reliability.simulator.weather import Weather

LONGEST_PAUSE = 3.0
"""In leases."""


class Deletable(MemorySearchIndex):
    """An index that anybody may delete at any time. As Elasticsearch's, it is not made again by a write."""

    @property
    def is_there(self) -> bool:
        """Whether an index serves."""
        return any(index.serves for index in self.indices())

    def delete(self) -> None:
        """Delete every index."""
        self._kept.clear()


@dataclass(kw_only=True)
class Surroundings:
    """What all processes of a simulation share."""

    loop: Loop
    weather: Weather
    oracle: Oracle
    lease: float
    trace: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    """How often each kind of fault struck, by its name in the weather."""
    database_away_until: float = 0.0
    search_away_until: float = 0.0

    def note(self, what: str) -> None:
        """Add a line to the trace."""
        task = self.loop.current
        self.trace.append(f"{self.loop.now:9.3f} {task.name if task else '':18} {what}")

    def strikes(self, fault: str, what: str = "") -> bool:
        """Whether a fault strikes now, by its probability in the weather; if so, it is counted and told."""
        probability: float = getattr(self.weather, fault)
        struck = probability > 0 and self.loop.random.random() < probability
        if struck:
            self.faults[fault] += 1
            self.note(f"{fault} {what}")
        return struck


class Passage:
    """What every call of one process passes through."""

    def __init__(self, actor: Actor, around: Surroundings) -> None:
        self._actor = actor
        self._around = around
        self._loop = around.loop
        self._holder = f"{actor.name}#{actor.starts}"

    def around(self, port: str, method: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        """Let others go on, do it, let others go on; or break it on the way."""
        what = f"{port}.{method}"
        struck, away_until = self._around.strikes, self._around.database_away_until
        keeper = "database"
        if port == "search":
            keeper, away_until = "search", self._around.search_away_until
        self._let_others(what)
        if self._loop.now < away_until or struck(f"{keeper}_before", what):
            raise Unavailable("The connection was lost before (planted).")
        result = self._around.oracle.call(self._holder, port, method, call, arguments)
        self._around.note(f"{what}: {_brief(result)}")
        self._let_others(what)
        if struck(f"{keeper}_after", what):
            raise Unavailable("The connection was lost after (planted).")
        if struck("pauses", what):
            self._actor.paused_until = self._loop.now + LONGEST_PAUSE * self._around.lease * self._loop.random.random()
            self._let_others(what)
        return result

    def _let_others(self, what: str) -> None:
        if not self._actor.alive:
            raise GreenletExit
        if self._around.strikes("crashes", what):
            self._loop.kill(self._actor)
        self._loop.pause()


def _brief(result: Any) -> str:
    if isinstance(result, str | bool | int):
        return str(result)
    if isinstance(result, list):
        return f"({len(result)})"
    if hasattr(result, "fence"):
        counted = f"attempt {result.attempt}, deaths {result.deaths}"
        return f"claim {result.id}/{result.fence} {result.subscription} {result.first}-{result.last}, {counted}"
    return "" if result is None else type(result).__name__
