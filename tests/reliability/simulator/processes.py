"""The processes of a simulation: APIs, workers, beats. Their code is the service's own."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dependency_injector import providers
from greenlet import GreenletExit

from application.engine import Engine
from application.heart import Heart
from application.ports.event_log import Verdict
from application.subscription import Subscription
from application.sweep import SWEEP_SECONDS, Sweeper
from domain.envelopes import Submission
from domain.errors import Unavailable
from domain.registry import PipelineRegistry
from infrastructure.celery.tasks import Bell
from infrastructure.container import Container
from infrastructure.memory.store import MemoryStore
from infrastructure.settings import Settings
from tests.reliability.front_door import submit
from tests.reliability.process import Notes
from tests.reliability.simulator.broker import Broker
from tests.reliability.simulator.loop import Actor, Loop, Task, VirtualCondition, VirtualEvent
from tests.reliability.simulator.ports import Deletable, Passage, Surroundings
from tests.reliability.watched import Watched, watched_store

LEASE = 2.0
SETTINGS = Settings(_env_file=None, unknown_types="keep", claim_batch=4, lease_seconds=LEASE, backlog_limit=0)


def subscriptions(registry: PipelineRegistry) -> list[Subscription]:
    """The subscriptions of a service with these pipelines; but for sealing, which changes nothing that is looked at."""
    container = Container(settings=providers.Object(SETTINGS), registry=providers.Object(registry))
    return [each for each in container.subscriptions().values() if not each.background]


@dataclass(kw_only=True)
class Site:
    """Where processes are started: what they share, and the ports behind it all."""

    around: Surroundings
    store: MemoryStore
    index: Deletable
    broker: Broker
    registry: PipelineRegistry
    subscriptions: Mapping[str, Subscription]
    new_id: Callable[[], str]

    @property
    def loop(self) -> Loop:
        """The scheduler."""
        return self.around.loop


_EMPTY: list[Container] = []


class Process(Actor, ABC):
    """A process with ports of its own, wired by the real container. `start` begins its tasks, again after a crash."""

    def __init__(self, name: str, site: Site) -> None:
        super().__init__(name)
        self.site = site
        self.loop = site.loop
        # A container is made once a process and emptied at each start: making one takes as long as a hundred steps.
        self.container = _EMPTY.pop() if _EMPTY else Container()

    def leave(self) -> None:
        """Leave the container to a later simulation."""
        self.container.reset_singletons()
        self.container.reset_override()
        _EMPTY.append(self.container)

    def start(self) -> None:
        """Begin with nothing in memory."""
        self.alive = True
        self.starts += 1
        self.paused_until = 0.0
        self.skew = self.site.around.weather.skew * (2 * self.loop.random.random() - 1)
        passage = Passage(self, self.site.around)
        store = watched_store(self.site.store, passage.around)
        journal = Notes()
        heart = Heart(store.claims, lease=LEASE)
        heart._wake = VirtualEvent(self.loop)  # type: ignore[assignment]  # it waits in virtual time
        heart._thread = self  # type: ignore[assignment]  # so that it starts none; its beat is a task here
        self.container.reset_singletons()
        self.container.override_providers(
            settings=providers.Object(SETTINGS),
            registry=providers.Object(self.site.registry),
            store=providers.Object(store),
            search_index=providers.Object(Watched("search", self.site.index, passage.around)),
            dispatcher=providers.Object(self.site.broker),
            journal=providers.Object(journal),
            heart=providers.Object(heart),
            owner_kind=providers.Object(self.name),
            subscriptions=providers.Object(self.site.subscriptions),
            new_id=providers.Callable(self.site.new_id),
            rest=providers.Object(0.0),  # it would be one in real time
        )
        self.begin(store, heart, journal)

    @abstractmethod
    def begin(self, store: Any, heart: Heart, journal: Notes) -> None:
        """Spawn what runs in this process."""

    def clock(self) -> float:
        """This machine's clock."""
        return self.loop.now + self.skew

    def spawn(self, name: str, function: Callable[[], None]) -> Task:
        """Begin a task; an error that leaves it is a finding, for in earnest it would end the process."""

        def run() -> None:
            try:
                function()
            except GreenletExit:
                raise
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is told
                self.site.around.oracle.wrong.append(f"{self.name}.{name} ended by {type(error).__name__}: {error}")

        return self.loop.spawn(self, name, run)

    def tuned(self, engine: Engine) -> Engine:
        """The engine by this machine's clock, drawing from the seed."""
        engine.clock = self.clock
        engine.draw = self.loop.random.random
        return engine


@dataclass
class Answer:
    """The answer to a request, as its sender waits for it."""

    ended: bool = False
    verdict: Verdict | None = None
    waiter: Task | None = field(default=None, repr=False)


class Api(Process):
    """Takes events; its appender commits what waits."""

    def begin(self, store: Any, heart: Heart, journal: Notes) -> None:
        appender = self.container.appender()
        appender._changed = VirtualCondition(self.loop)  # type: ignore[assignment]  # see the class
        appender._thread = self  # type: ignore[assignment]  # so that it starts none
        self.spawn("appender", appender._run)

    def post(self, submission: Submission) -> Answer:
        """Begin a request."""
        answer = Answer(waiter=self.loop.current)

        def handle() -> None:
            try:
                future = submit(submission, self.container)
                task = self.loop.current
                assert task is not None
                future.add_done_callback(lambda _: self.loop.wake(task))
                while not future.done():
                    self.loop.pause(60.0)
                [answer.verdict] = future.result(0)
            except Unavailable:
                pass
            answer.ended = True
            assert answer.waiter is not None
            self.loop.wake(answer.waiter)

        self.spawn("request", handle)
        return answer


class Worker(Process):
    """Hears bells and works turns, in one task or in several that share the engine."""

    tasks = 1

    def begin(self, store: Any, heart: Heart, journal: Notes) -> None:
        engine = self.tuned(self.container.engine())
        bell = Bell(engine, store.events, store.states, journal, self.container.subscription_with())  # type: ignore[arg-type]  # it notes as a LogJournal does
        for name in self.container.subscriptions():
            self.site.broker.ring(name)
        self.spawn("heart", heart._beat)
        for number in range(self.tasks):
            self.spawn(f"bell-{number}", lambda: self._hear(bell))

    def _hear(self, bell: Bell) -> None:
        while True:
            name, argument = self.site.broker.receive()
            if name == "process":
                bell.process_incoming_event(argument)
            else:
                bell.ring(argument)


class Beat(Process):
    """Sweeps."""

    def begin(self, store: Any, heart: Heart, journal: Notes) -> None:
        names = self.container.subscriptions()
        sweeper = Sweeper(store.claims, self.site.broker, names, clock=self.clock)
        self.spawn("sweep", lambda: self._sweep(sweeper))

    def _sweep(self, sweeper: Sweeper) -> None:
        while True:
            self.loop.pause(SWEEP_SECONDS)
            try:
                sweeper.sweep()
            except Unavailable:
                continue
