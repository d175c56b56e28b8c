"""The broker of a simulation: it loses, doubles, delays, reorders, forgets and forges messages as the weather says."""

from math import inf

from application.ports.dispatcher import Dispatcher
from tests.reliability.simulator.loop import Loop, Task
from tests.reliability.simulator.weather import Weather

MOST_DELAY = 20.0
Message = tuple[float, str, object]
"""When it arrives, which task it is for (`process` or `ring`), and its one argument."""


class Broker(Dispatcher):
    """One queue that all workers hear; every message is drawn from it by lot."""

    def __init__(self, loop: Loop, weather: Weather) -> None:
        self._loop = loop
        self._weather = weather
        self._messages: list[Message] = []
        self._waiting: list[Task] = []

    def ring(self, subscription: str, *, event_id: str | None = None) -> None:
        random, weather = self._loop.random, self._weather
        if random.random() < weather.bells_dropped:
            return
        for _ in range(1 + (random.random() < weather.bells_doubled)):
            delay = MOST_DELAY * random.random() if random.random() < weather.bells_delayed else 0.0
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
