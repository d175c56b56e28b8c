"""Form: what a chaos run is asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

On = Literal["postgres-redis", "postgres-rabbitmq", "embedded"]
MODES: tuple[On, ...] = ("postgres-redis", "postgres-rabbitmq", "embedded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How many events go where, for how long, by which seed; `minutes` bound load and faults."""

    on: On
    events: int
    seed: int
    minutes: float
    lease: float
    folder: Path

    @property
    def seconds(self) -> float:
        """How long load and faults last."""
        return self.minutes * 60

    @property
    def calm(self) -> float:
        """How long at most what was taken on may take to end, once nothing is broken any more."""
        return min(60.0, 20.0 + 20.0 * self.minutes)

    @property
    def producers(self) -> int:
        return min(8, max(4, self.events // 12_500))

    @property
    def backlog_limit(self) -> int:
        """Twenty seconds of all events: a pipeline that is so far behind refuses more."""
        return max(2000, int(self.events / self.seconds * 20))

    @property
    def last_deadly(self) -> float:
        """Seconds into the load after which no more deadly event is sent: each takes four leases to be given up."""
        return self.seconds + self.calm / 2 - 4 * (self.lease + 6)
