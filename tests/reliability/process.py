"""Process: one process of the service inside this one, wired by the real container; dropped and made anew at will."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dependency_injector import providers
from pydantic_core import from_json

from application.appender import Appender
from application.engine import Engine
from application.heart import Heart
from application.ports.claims import Claim, Claims
from application.ports.event_log import Verdict
from application.sweep import Sweeper
from domain.envelopes import Submission
from domain.errors import CompletionRefused
from domain.registry import PipelineRegistry
from infrastructure.celery.tasks import Bell
from infrastructure.container import SERVICE_OWNER, Container
from infrastructure.embedded.search_index import Fts5SearchIndex
from infrastructure.memory.dispatcher import MemoryDispatcher
from infrastructure.settings import Settings
from infrastructure.sql.store import SqlStore
from tests.reliability.faults import Faults
from tests.reliability.front_door import submit
from tests.reliability.pipelines import outside
from tests.reliability.watched import Watched, watched_store
from tests.unit.engines import MemoryJournal

SETTINGS = Settings(_env_file=None, unknown_types="keep", claim_batch=3, backlog_limit=0)


class Notes(MemoryJournal):
    """A journal of a worker, which is told of senseless messages too."""

    def message_dropped(self, reason: str) -> None: ...


class OneBeat(Heart):
    """A heart without a thread: it beats once for each claim, as its run begins."""

    @contextmanager
    def beating(
        self, claim: Claim, progress: Callable[[], Mapping[str, Any]], *, limit: float | None = None
    ) -> Iterator[None]:
        with suppress(Exception):  # as the real one, for which the next beat tries again
            self._claims.heartbeat(claim, lease=self._lease, progress=progress())
        yield


class Choosy(Watched):
    """Claims whose database refuses the first completed context of an event of kind `refused`."""

    def __init__(self, claims: Claims) -> None:
        super().__init__("claims", claims, self._judge)

    def _judge(self, _port: str, method: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if method == "complete":
            for context in arguments[1].contexts:
                event = from_json(context.context)["event"]
                if event["data"].get("kind") == "refused" and outside.first("refused", event["id"]):
                    raise CompletionRefused("The database refuses the context (planted).")
        return call()


def commit_waiting(appender: Appender) -> None:
    """Do what the appender's thread does, here, until nothing waits."""
    appender._stopping = True
    appender._run()
    appender._stopping = False


def not_run(_: object) -> dict[str, Any]:
    """What stands for a dry run of a plan's sample, whose nodes may kill."""
    return {"outputs": {}, "effects": [], "run": {"failure": None}}


def timeless(engine: Engine) -> Engine:
    """An engine whose turns take no time and whose backoffs are their longest, whatever the machine."""
    engine.clock = lambda: 0.0
    engine.draw = lambda: 1.0
    return engine


class Process:
    """API, worker and sweeper of the embedded service, with a clock of its own for the sweep.

    Nothing runs by itself: what the threads of a service do is called here. The ports are real, and watched.
    """

    def __init__(self, sql: SqlStore, index: Path, registry: PipelineRegistry, faults: Faults) -> None:
        """`sql` has no open connection; it remembers nothing else but how statements are compiled."""
        self._sql = sql
        self._index = Fts5SearchIndex(index)
        self._faults = faults
        self._bells = MemoryDispatcher()
        self.seconds = 0.0
        store = watched_store(self._sql, faults.around)
        store.claims = self._watched("claims", Choosy(self._sql.claims))
        journal = self._watched("journal", Notes())
        dispatcher = self._watched("dispatcher", self._bells)
        self.container = Container(
            settings=providers.Object(SETTINGS),
            registry=providers.Object(registry),
            store=providers.Object(store),
            search_index=providers.Object(self._watched("search", self._index)),
            dispatcher=providers.Object(dispatcher),
            journal=providers.Object(journal),
            heart=providers.Object(OneBeat(store.claims, lease=SETTINGS.lease_seconds)),
        )
        self.container.appender()._thread = threading.current_thread()  # so that it starts none
        engine = timeless(self.container.engine())
        self.bell = Bell(engine, store.events, store.states, journal, self.container.subscription_with())
        subscriptions = self.container.subscriptions()
        self._sweeper = Sweeper(store.claims, dispatcher, subscriptions, clock=lambda: self.seconds)

    def _watched(self, name: str, port: Any) -> Any:
        return Watched(name, port, self._faults.around)

    def start(self) -> None:
        """What a service does before it serves: it ends its predecessor's leases, and rings each subscription."""
        subscriptions = self.container.subscriptions()
        self.container.codes().register(self.container.registry().codes.values())
        self.container.claims().register(subscriptions.values())
        self.container.claims().end_leases(SERVICE_OWNER)
        self.container.indexer().open()
        for name in subscriptions:
            self._bells.ring(name)

    def post(self, submission: Submission) -> Verdict:
        """The front door, as `POST /events` goes through it."""
        answer = submit(submission, self.container)
        commit_waiting(self.container.appender())
        [verdict] = answer.result(0)
        return verdict

    def work(self) -> None:
        """Hear every bell that has rung, and those that ring meanwhile."""
        while self._bells.rings:
            subscription, event_id = self._bells.rings.pop(0)
            if event_id is None:
                self.bell.ring(subscription)
            else:
                self.bell.process_incoming_event(event_id)

    def sweep(self) -> None:
        """Sweep until due work has waited long enough to be rung."""
        for _ in range(2):
            self._sweeper.sweep()
            self.seconds += 5.0

    def drop(self, *, died: bool = True) -> None:
        """What the operating system does for a process that is gone: its connections end.

        Where it did not die, the next run may go on with its connections to the database: none is in a transaction.
        """
        if died:
            self._sql.close()
        self._index.close()
