"""The broker of a simulation: it loses, doubles, delays, reorders, forgets and forges messages as the weather says."""

from math import inf

from application.ports.dispatcher import Dispatcher
from tests.reliability.simulator.loop import Task
from tests.reliability.simulator.ports import Surroundings

MOST_DELAY = 20.0
Message = tuple[float, str, object]
"""When it arrives, which task it is for (`process` or `ring`), and its one argument."""


class Broker(Dispatcher):
    """One queue that all workers hear; every message is drawn from it by lot."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._loop = around.loop
        self._messages: list[Message] = []
        self._waiting: list[Task] = []

    def ring(self, subscription: str, *, event_id: str | None = None) -> None:
        struck = self._around.strikes
        if struck("bells_dropped", subscription):
            return
        for _ in range(1 + struck("bells_doubled", subscription)):
            delay = MOST_DELAY * self._loop.random.random() if struck("bells_delayed", subscription) else 0.0
            what = ("ring", subscription) if event_id is None else ("process", event_id)
            self.send(delay, *what)

    def send(self, delay: float, name: str, argument: object) -> None:
        """Put a message in, which arrives after a delay."""
        at = self._loop.now + delay
        self._messages.append((at, name, argument))
        for task in self._waiting:
            self._loop.wake(task, at)

    def empty(self) -> None:
        """Forget every message."""
        self._messages.clear()

    def receive(self) -> tuple[str, object]:
        """Wait for a message; it is gone from here, whatever becomes of its receiver."""
        task = self._loop.current
        assert task is not None
        while True:
            arrived = [message for message in self._messages if message[0] <= self._loop.now]
            if arrived:
                message = arrived[int(self._loop.random.random() * len(arrived))]
                self._messages.remove(message)
                return message[1], message[2]
            self._waiting.append(task)
            self._loop.pause(min((at for at, *_ in self._messages), default=inf) - self._loop.now)
            self._waiting = [other for other in self._waiting if other is not task]
