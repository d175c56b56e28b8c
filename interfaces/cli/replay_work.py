"""Replay work: a replay is worked in this process, or in child processes that tell this one what they wait for."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from interfaces.cli import output

if TYPE_CHECKING:
    from application.use_cases.replaying import Begun
    from infrastructure.container import Container


class Stop:
    """What is called when this process is told to stop, also where it was told before there was anything to stop."""

    def __init__(self) -> None:
        self.asked = False
        self._calls: list[Callable[[], None]] = []

    def __call__(self) -> None:
        self.asked = True
        for call in self._calls:
            call()

    def then(self, call: Callable[[], None]) -> None:
        """Call this too."""
        self._calls.append(call)
        if self.asked:
            call()


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Let Ctrl-C and SIGTERM stop the work in good order: what has not run is handed back."""
    stop = Stop()
    before = {number: signal.signal(number, lambda *_: stop()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_at_the_end_of_input(stop: Stop) -> None:
    """Nothing is ever written there: it ends when the parent closes it, or dies."""
    while os.read(sys.stdin.fileno(), 1):  # past Python's buffer, whose lock would be held when the process ends
        pass
    stop()


def tell(**said: Any) -> None:
    """Tell the parent. One that is gone hears nothing; the end of the input says so."""
    with suppress(OSError, ValueError):
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


class Teller:
    """Says what a run waits for, when that changes."""

    def __init__(self, replay_id: int) -> None:
        self._id = replay_id
        self._said = "go"

    def __call__(self, what: str, detail: str) -> None:
        from infrastructure.settings import typed

        if what == "died":
            output.say(f"{detail}; another takes its place, and its work")
            return
        if what == self._said:
            return
        self._said = what
        sentences = {
            "go": "goes on",
            "paused": f"paused: waits; go on with: {typed(f'replay resume {self._id}')}",
            "live": f"live traffic goes first: waits; {detail}",
            "away": f"waits up to five minutes for the database: {detail}",
        }
        output.say(sentences[what])


def work_here(container: "Container", begun: "Begun", stop: Stop, teller: Teller, **how: Any) -> str:
    """Work in this process."""
    from application.use_cases.replay_run import PATIENCE_SECONDS, run_replay
    from interfaces.cli.replay_progress import Watched

    here = container.replay_run(begun.replay, effects=begun.effects, last=begun.last, **how)
    stop.then(here.engine.stop)
    with _bar(begun) as bar:
        watched = Watched(container, begun.replay, total=_total(begun))
        end = run_replay(here, progress=lambda: watched.draw(bar), told=teller, patience=PATIENCE_SECONDS)
        bar.to(_ended(watched))
    return end


def let_work(
    container: "Container", begun: "Begun", stop: Stop, teller: Teller, *, size: int, command: Sequence[str]
) -> str:
    """Let child processes work."""
    from application.use_cases.replaying import free_the_dead
    from domain.errors import Unavailable
    from infrastructure.crew import Crew
    from infrastructure.processes import is_surely_dead
    from interfaces.cli.replay_progress import Watched

    def died() -> None:
        with suppress(Unavailable):  # its leases run out
            free_the_dead(begun.replay, claims=container.claims(), is_dead=is_surely_dead)

    crew = Crew(command, size, told=teller, died=died)
    with _bar(begun) as bar:
        watched = Watched(container, begun.replay, total=_total(begun))
        end = crew.work(stopping=lambda: stop.asked, progress=lambda: watched.draw(bar))
        bar.to(_ended(watched))
    return end


def child_command(begun: "Begun", rate: float | None, max_failures: str | None, yield_above: int) -> list[str]:
    """The command of a child."""
    options = {
        "--last": begun.last,
        "--rate": rate,
        "--max-failures": max_failures,
        "--yield-above": yield_above,
        "--effects": begun.effects,
    }
    given = [(name, str(value)) for name, value in options.items() if value is not None]
    # -P: no module of the working directory takes the place of one of ours.
    ours = [sys.executable, "-P", "-m", "interfaces.cli.main"]
    return [*ours, "replay", "work", str(begun.replay.id), *(part for option in given for part in option)]


def _bar(begun: "Begun") -> Any:
    return output.progress("events replayed", _total(begun))


def _total(begun: "Begun") -> int:
    return begun.replay.count if begun.step is None else begun.step.events


def _ended(watched: Any) -> int:
    found, _ = watched.look()
    return int(found.ended)
