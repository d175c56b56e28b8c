"""Fakes around the appender: a log whose commits can be held and refused, a bell and a journal that remember."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from application.ports.event_log import Verdict
from application.ports.journal import Journal
from domain.events import NewEvent
from infrastructure.memory.dispatcher import MemoryDispatcher
from infrastructure.memory.event_log import MemoryEventLog
from infrastructure.memory.tables import MemoryTables

SECONDS = 5.0
Refuse = Callable[[Sequence[NewEvent]], None]


class Gate(MemoryEventLog):
    """A log in memory whose commits wait for a gate, are remembered, and may be refused."""

    def __init__(self) -> None:
        super().__init__(MemoryTables())
        self.commits: list[tuple[int, bool]] = []
        self.refuse: Refuse = lambda _: None
        self.open = threading.Event()
        self.entered = threading.Semaphore(0)

    def append(self, events: Sequence[NewEvent], *, atomic: bool = False) -> list[Verdict]:
        self.entered.release()
        assert self.open.wait(SECONDS)
        self.refuse(events)
        self.commits.append((len(events), atomic))
        return super().append(events, atomic=atomic)


class Bell(MemoryDispatcher):
    """A doorbell that also remembers how many events were stored when it rang."""

    def __init__(self, log: Gate) -> None:
        super().__init__()
        self.heads: list[int] = []
        self._log = log

    def ring(self, subscription: str, *, event_id: str | None = None) -> None:
        self.heads.append(self._log.head())
        super().ring(subscription, event_id=event_id)


class Notes(Journal):
    """A journal that keeps what failed."""

    def __init__(self) -> None:
        self.failures: list[tuple[str, Exception]] = []

    def failed(self, what: str, error: Exception) -> None:
        self.failures.append((what, error))


def verdicts(answer: "Future[list[Verdict]]") -> list[Verdict]:
    return answer.result(SECONDS)


def bad(data: str, error: Exception) -> Refuse:
    """Refuse every commit that has an event of this data."""

    def refuse(events: Sequence[NewEvent]) -> None:
        if any(event.data == data for event in events):
            raise error

    return refuse
