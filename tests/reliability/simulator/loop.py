"""Loop: greenlets under a virtual clock, one at a time; which of them goes on is drawn from a seed.

Nothing here waits in earnest, and nothing depends on the machine: a seed gives the same steps everywhere.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import inf
from random import Random

from greenlet import GreenletExit, getcurrent, greenlet

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
STEP_SECONDS = 0.02
"""The most virtual time that one step takes; half of it on average."""


class Actor:
    """A process of the service, or somebody outside. Its clock is wrong by `skew` seconds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.paused_until = 0.0
        self.skew = 0.0
        self.starts = 0


class Task:
    """One line of execution of an actor; it goes on from `wake` on."""

    def __init__(self, actor: Actor, name: str, function: Callable[[], None], hub: greenlet) -> None:
        self.actor = actor
        self.name = f"{actor.name}.{name}"
        self.wake = 0.0
        self.greenlet = greenlet(function, hub)


class Loop:
    """The scheduler. `now` is the true time in seconds, which only the database knows."""

    def __init__(self, random: Random) -> None:
        self.now = 0.0
        self.steps = 0
        self.random = random
        self.current: Task | None = None
        self._tasks: list[Task] = []
        self._somebody_died = False
        self._hub = getcurrent()

    def time(self) -> datetime:
        """The database's clock."""
        return BEGINNING + timedelta(seconds=self.now)

    def spawn(self, actor: Actor, name: str, function: Callable[[], None]) -> Task:
        """Begin a task."""
        task = Task(actor, name, function, self._hub)
        task.wake = self.now
        self._tasks.append(task)
        return task

    def pause(self, seconds: float = 0.0) -> None:
        """Let others go on; the current task does so after some virtual seconds (`inf`: when it is woken)."""
        task = self.current
        if task is None or not task.actor.alive:
            raise GreenletExit  # on its way out, through code that caught its end
        task.wake = self.now + seconds
        self._hub.switch()

    def wake(self, task: Task, at: float | None = None) -> None:
        """Let a waiting task go on, now or then."""
        task.wake = min(task.wake, self.now if at is None else at)

    def step(self) -> None:
        """Let one task that is ready, drawn by lot, go on to its next pause."""
        now = self.now
        ready = [task for task in self._tasks if task.wake <= now and task.actor.paused_until <= now]
        if not ready:
            now = min(max(task.wake, task.actor.paused_until) for task in self._tasks)
            assert now < inf, "nobody will ever do anything again"
            ready = [task for task in self._tasks if task.wake <= now and task.actor.paused_until <= now]
        self.now = now + STEP_SECONDS * self.random.random()
        self.steps += 1
        task = ready[int(self.random.random() * len(ready))]
        self.current = task
        task.greenlet.switch()
        self.current = None
        if self._somebody_died or task.greenlet.dead:
            self._forget_the_dead()

    def kill(self, actor: Actor) -> None:
        """End a process: none of its tasks goes on, and none of its ports answers, not even on the way out."""
        actor.alive = False
        self._somebody_died = True
        if self.current is None:
            self._forget_the_dead()
        elif self.current.actor is actor:
            raise GreenletExit

    def close(self) -> None:
        """End every task."""
        for task in self._tasks:
            task.actor.alive = False
        self._forget_the_dead()

    def _forget_the_dead(self) -> None:
        """Only the hub does this: a greenlet that ends goes back to it."""
        self._somebody_died = False
        tasks = self._tasks
        self._tasks = [task for task in tasks if task.actor.alive and not task.greenlet.dead]
        for task in tasks:
            if not task.actor.alive and not task.greenlet.dead:
                # Its ports raise this again, so that nothing which catches it can do anything.
                task.greenlet.throw(GreenletExit)


class VirtualCondition:
    """Stands for a threading.Condition among tasks that never run at once."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: list[Task] = []

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def wait(self, timeout: float | None = None) -> None:
        task = self._loop.current
        if task is not None:
            self._waiting.append(task)
        self._loop.pause(inf if timeout is None else timeout)

    def notify(self) -> None:
        for task in self._waiting:
            self._loop.wake(task)
        self._waiting.clear()


class VirtualEvent:
    """Stands for a threading.Event that is never set: waiting for it is the passing of time."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def wait(self, timeout: float) -> bool:
        self._loop.pause(timeout)
        return False
