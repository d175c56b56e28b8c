"""Simulation: one seed from the first event to rest, and what did not hold on the way or at the end."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import count
from math import inf
from random import Random

from domain.events import derived_id
from infrastructure.memory.store import MemoryStore
from tests.reliability import pipelines
from tests.reliability.history import History
from tests.reliability.invariants import violations
from tests.reliability.simulator.broker import Broker
from tests.reliability.simulator.loop import Loop
from tests.reliability.simulator.operators import Replayer
from tests.reliability.simulator.oracle import Oracle
from tests.reliability.simulator.outsiders import Gusts, Reader, Sender
from tests.reliability.simulator.ports import Deletable, Surroundings
from tests.reliability.simulator.processes import LEASE, Api, Beat, Process, Site, Worker, subscriptions
from tests.reliability.simulator.weather import Weather, drawn
from tests.reliability.truth import Truth

STORM_SECONDS = 25.0
"""How long the weather lasts, or until every sender is done."""
CALM_SECONDS = 240.0
"""How long after it, at the most, until all is at rest: some leases, backoffs and sweeps."""
STEPS = 100_000
_NIL = "01900000-0000-7000-8000-000000000000"
"""What the ids of a simulation derive from."""
RESTART_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a seed. `digest` names the exact sequence of steps."""

    seed: int
    steps: int
    events: int
    seconds: float
    wrong: tuple[str, ...]
    trace: tuple[str, ...]
    weather: str
    faults: Counter[str]

    @property
    def digest(self) -> str:
        """SHA-256 of the trace."""
        return hashlib.sha256("\\n".join(self.trace).encode()).hexdigest()


class Simulation:
    """One seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        random = Random(seed)
        self._loop = loop = Loop(random)
        self._weather = drawn(random)
        self._had = replace(self._weather)
        self._store = store = MemoryStore(loop.time)
        tables = store.events._tables
        tables.log_ids = {log: derived_id(_NIL, seed, log) for log in tables.log_ids}
        self._oracle = Oracle(loop, store, tables)
        self._around = Surroundings(loop=loop, weather=self._weather, oracle=self._oracle, lease=LEASE)
        numbers = count(1)
        registry = pipelines.registry()
        self._subscriptions = subscriptions(registry)
        self._site = site = Site(
            around=self._around,
            store=store,
            index=Deletable(),
            broker=Broker(self._around),
            registry=registry,
            subscriptions={each.name: each for each in self._subscriptions},
            new_id=lambda: derived_id(_NIL, seed, next(numbers)),
        )
        self._history = History()
        outside = pipelines.begin_anew()
        outside.kill, outside.take_long = self._kill, self._take_long
        self._replayer = Replayer("replayer", site)
        self._replayer.rebuilds = random.random() < 0.3
        apis = [Api(f"api-{number}", site) for number in (1, 2)]
        workers = [Worker(f"worker-{number}", site) for number in (1, 2, 3)]
        workers[2].tasks = 2
        self._processes: list[Process] = [*apis, *workers, Beat("beat-1", site), Beat("beat-2", site), self._replayer]
        self._restarts: dict[str, float] = {}
        self._senders = [Sender(number, site, apis, self._history) for number in (1, 2, 3)]
        self._reader = Reader(site)
        self._gusts = Gusts(site, self._processes)

    def run(self) -> Outcome:
        """To the end, or to the first thing that is wrong."""
        store = self._store
        store.claims.register(self._subscriptions)
        for process in self._processes:
            process.start()
        wrong = list(self._run())
        self._loop.close()
        for process in self._processes:
            process.leave()
        return Outcome(
            seed=self._seed,
            steps=self._loop.steps,
            events=store.events.head(),
            seconds=self._loop.now,
            wrong=tuple(wrong),
            trace=tuple(self._around.trace),
            weather=str(self._had),
            faults=self._around.faults,
        )

    def _run(self) -> Iterator[str]:
        self._go_on(until=STORM_SECONDS)
        self._go_on(until=inf, senders=True)
        self._calm()
        if not self._oracle.wrong and not self._comes_to_rest():
            yield f"it did not come to rest within {CALM_SECONDS:.0f} s of calm"
        yield from self._oracle.wrong
        if not self._oracle.wrong:
            self._history.replay = next(iter(self._store.replays.list()), None)
            yield from violations(
                Truth.of(self._store, self._site.index),
                self._history,
                excused=self._oracle.excused,
                ordered=[each.name for each in self._subscriptions if each.in_order and each.route],
            )

    def _go_on(self, *, until: float, senders: bool = False) -> None:
        """Step on to a time, or until every sender is done."""
        while self._loop.now < until and not self._oracle.wrong and self._loop.steps < STEPS:
            if senders and all(sender.done for sender in self._senders):
                return
            self._step()

    def _step(self) -> None:
        self._loop.step()
        for process in self._processes:
            if process.alive:
                continue
            at = self._restarts.setdefault(process.name, self._loop.now + RESTART_SECONDS * self._loop.random.random())
            if self._loop.now >= at:
                del self._restarts[process.name]
                self._around.note(f"starts {process.name}")
                process.start()

    def _calm(self) -> None:
        """The weather ends: nothing fails any more, and who stood still goes on."""
        for name in (field.name for field in fields(Weather)):
            setattr(self._weather, name, 0.0)
        self._around.database_away_until = self._around.search_away_until = 0.0
        self._around.note("calm")

    def _comes_to_rest(self) -> bool:
        until = self._loop.now + CALM_SECONDS
        nudged = False
        while self._loop.now < until and not self._oracle.wrong and self._loop.steps < 2 * STEPS:
            self._go_on(until=self._loop.now + 1.0)
            if not self._is_at_rest():
                continue
            if self._site.index.is_there:
                return True
            if nudged:
                continue
            nudged = True
            # Whoever deleted the index sees it made again when the next result is to be indexed, or a worker starts.
            for process in self._processes:
                if isinstance(process, Worker):
                    self._loop.kill(process)
        return bool(self._oracle.wrong)

    def _is_at_rest(self) -> bool:
        claims = self._store.claims
        backlogs = claims.backlog(claims.subscriptions())
        busy = any(
            backlog.claims or (backlog.cursor < backlog.head and not name.startswith("replay-"))
            for name, backlog in backlogs.items()
        )
        return not busy and self._replayer.done and all(process.alive for process in self._processes)

    def _kill(self) -> None:
        """An event kills the process that runs it."""
        task = self._loop.current
        assert task is not None
        self._around.note("is killed by its event")
        self._loop.kill(task.actor)

    def _take_long(self) -> None:
        self._loop.pause(3 * LEASE * self._loop.random.random())


def simulate(seed: int) -> Outcome:
    """Run one seed."""
    return Simulation(seed).run()
