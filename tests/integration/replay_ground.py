"""A folder with a pipeline, a database with events that have run live, and `playhead replay` as processes on it."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dependency_injector import providers

from application.subscription import Selection
from infrastructure.container import Container
from infrastructure.settings import load
from infrastructure.sql.store import SqlStore
from tests.cli import Cli, Ended
from tests.end_to_end.processes import environment, started
from tests.factories import NewEventFactory

PIPELINE = """
import os, signal, time
from pydantic import BaseModel
from playhead import EmitEvent, HttpCall, Pipeline, TaskContext, node

class Thing(BaseModel):
    n: int

class Seen(BaseModel):
    n: int

@node
def look(context: TaskContext) -> int:
    time.sleep({seconds})
    if context.data.n in {failing}:
        raise ValueError("it cannot be")
    if context.data.n in {deadly} and {generation_is_replayed}:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * context.data.n

@node
def tell(context: TaskContext) -> TaskContext:
    if {url!r}:
        context = context.declare(HttpCall(url={url!r}, body={{"n": context.data.n}}))
    if {emits}:
        context = context.declare(EmitEvent(type="thing.told", data={{"n": context.data.n}}))
    return context

@node
def note(context: TaskContext) -> int:
    return context.data.n

PIPELINES = (
    Pipeline("things", {{"thing.seen": Thing}}, (look, tell)),
    Pipeline("told", {{"thing.told": Seen}}, (note,)),
)
"""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where replays run. `store` looks on from outside."""

    cli: Cli
    env: Mapping[str, str]
    home: Path
    store: SqlStore

    def command(self, *arguments: str) -> Ended:
        """Run `playhead replay …` to its end, in this process; its children are processes."""
        return self.cli("replay", *arguments)

    def json(self, *arguments: str) -> Any:
        done = self.command(*arguments, "--json")
        assert done.out, done.err
        return json.loads(done.out)

    def planned(self, *arguments: str) -> str:
        """Plan a replay, of everything unless said otherwise; its id."""
        return str(self.json("plan", *(arguments or ("--all",)))["id"])

    def started(self, *arguments: str) -> AbstractContextManager["subprocess.Popen[bytes]"]:
        """Start `playhead replay …`."""
        return started(["playhead", "replay", *arguments], self.env, self.home / "replay.log")

    @property
    def said(self) -> str:
        """What the started commands have said."""
        return (self.home / "replay.log").read_text()

    def append(self, count: int, first: int = 0) -> None:
        """Append events that say their number."""
        for begin in range(first, first + count, 500):
            numbers = range(begin, min(begin + 500, first + count))
            self.store.events.append(
                [NewEventFactory(type="thing.seen", route="things", data=f'{{"n": {n}}}') for n in numbers]
            )

    def work_live(self) -> None:
        """Let the pipelines run over all events, in this process; effects are not carried out."""
        container = self.container()
        subscriptions = [each for each in container.subscriptions().values() if each.route is not None]
        container.claims().register(subscriptions)
        for each in subscriptions:
            while container.engine().turn(each.name):
                pass
        container.store().close()

    def container(self) -> Container:
        names = ("playhead_home", "database_url", "pipelines", "outgoing_allow")
        flags = {name: self.env[name.upper()] for name in names if name.upper() in self.env}
        return Container(settings=providers.Object(load(**flags)))

    def contexts(self, generation: int) -> dict[int, list[str]]:
        """The statuses of the contexts that a generation has of each event, by position."""
        found: dict[int, list[str]] = {}
        head, after = self.store.contexts.head(), 0
        while rows := self.store.contexts.read(
            Selection(where={"generation": generation}, after=after, last=head), limit=1_000
        ):
            for row in rows:
                found.setdefault(row.event_position, []).append(row.status)
            after = rows[-1].position
        return found

    def ended(self, generation: int) -> int:
        return sum(count for _, status, count in self.store.contexts.summary(generation) if status != "failed")


def ground_at(cli: Cli, store: SqlStore, database_url: str, *, name: str, **settings: Any) -> Ground:
    """A ground on a database. `settings` in capitals are the service's, others are the pipeline's."""
    home = cli.home
    parts = {"seconds": 0, "failing": (), "deadly": (), "generation_is_replayed": True, "url": "", "emits": False}
    mine = {each: value for each, value in settings.items() if each in parts}
    cli.module(name, PIPELINE.format(**parts | mine))
    named = {each: str(value) for each, value in settings.items() if each not in parts}
    named |= {"DATABASE_URL": database_url, "PIPELINES": name, "PYTHONPATH": str(home)}
    cli.set(**named)
    return Ground(cli=cli, env=environment(home, **named), home=home, store=store)


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(pid: int) -> None:
    """kill -9, where it is still there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        time.sleep(0)
