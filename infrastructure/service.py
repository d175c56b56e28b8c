"""Service: starts and stops what a process needs, in order, whichever adapters the settings chose."""

import fcntl
import gc
import time
from contextlib import suppress
from functools import cache
from typing import Any

from application.use_cases.operations import upgrade_database
from domain.errors import Misconfigured, Unavailable
from infrastructure import cron
from infrastructure.container import SERVICE_OWNER, Container
from infrastructure.sql.engine import open_lock

_LOCK_SECONDS = 3.0


class Service:
    """The life of one process: `prepare`, for the embedded service also `start_engine`, and `stop`."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._lock: Any = None
        self._engine_runs = False

    def prepare(self, *, migrate: bool) -> None:
        """Make sure of the pipelines, the database and its migrations, and register the subscriptions and the code.

        Raises:
            Misconfigured: migrations are missing and `migrate` is not set, pipelines cannot be loaded, or the
                database does not keep what it acknowledged.
            InvalidPipeline: pipelines contradict each other.
            Unavailable: the database cannot be reached.
        """
        container = self._container
        container.fields()  # two documents that disagree on a field stop the start
        codes = container.registry().codes  # and so does a pipeline that cannot be prepared
        cron.require_readable(container.registry())
        store = container.store()
        if migrate:
            upgrade_database(upgrade=store.upgrade, auditor=container.auditor())
        store.require_newest()
        if container.settings().durability == "durable":
            store.require_durable()
        collect_rarely()
        store.codes.register(codes.values())
        store.claims.register(container.subscriptions().values())

    def open_index(self) -> None:
        """Make the index, or add the fields that it lacks. One that is away is made when it is back.

        Raises:
            Misconfigured: a field exists with another type.
        """
        with suppress(Unavailable):
            self._container.indexer().open()

    def start_engine(self) -> None:
        """Start the embedded engine's threads, if the settings name no broker.

        Raises:
            Misconfigured: another service runs on the same SQLite file.
        """
        container = self._container
        settings = container.settings()
        if settings.celery_broker_url:
            return
        if not settings.is_postgres:
            self._become_the_service()
        chores = {
            "sweep": container.sweeper().sweep,
            "schedules": container.clockwork().tick,
            "watchdog": container.watchdog().look,
        }
        container.engine_threads().start(container.engine(), chores, container.journal())
        self._engine_runs = True

    def hand_back(self) -> None:
        """Begin no further claim, and hand back what has not run."""
        self._container.engine().stop()

    def release(self) -> None:
        """Put back what still runs, for a process that ends now.

        Raises:
            Unavailable: the database cannot be reached.
        """
        self._container.engine().release()

    def stop(self) -> None:
        """Take no more events, hand back what has not run, and close everything."""
        container = self._container
        container.appender().stop()
        container.follower().stop()
        container.admission().stop()
        if self._engine_runs:
            container.engine_threads().stop()
        container.store().close()
        if self._lock is not None:
            self._lock.close()

    def _become_the_service(self) -> None:
        """Take the lock that a running service holds: who gets it knows that its predecessor is dead."""
        store = self._container.store()
        self._lock = open_lock(store.database.url.database, "service")
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Misconfigured(
                        f"Another Playhead service runs on {store.database.url.database}. "
                        "Stop it, or set PLAYHEAD_HOME to another folder."
                    ) from None
                time.sleep(0.1)
        store.claims.end_leases(SERVICE_OWNER)


@cache  # once a process: what is frozen is never collected
def collect_rarely() -> None:
    """Tune the garbage collector for batches: many objects at once, held by no cycle, gone when the batch is.

    With Python's own threshold (700 objects) the collector took a third of a batch's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
