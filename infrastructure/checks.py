"""Checks: what the service stands on, looked at from here; for `/readyz` and `doctor`."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from application.ports.search_index import SearchIndex
from application.use_cases.backlogs import pipeline_backlogs
from domain.errors import Misconfigured, PlayheadError
from domain.registry import PipelineRegistry
from infrastructure.settings import Settings
from infrastructure.sql.store import SqlStore

_DEFAULT_PORTS = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671, "sentinel": 26379}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One component: whether it is right, what was seen, and what to do where it is not.

    Only a `required` one decides whether the service is ready.
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""
    required: bool = False


class Checks:
    """Looks at each component; none of them waits longer than a few seconds."""

    def __init__(
        self, settings: Settings, store: SqlStore, search_index: SearchIndex, registry: PipelineRegistry
    ) -> None:
        self._settings = settings
        self._store = store
        self._search_index = search_index
        self._registry = registry

    def all(self) -> Sequence[Check]:
        """Every check, the required ones first."""
        return [self._database(), self._migrations(), self._broker(), self._search(), self._pipelines()]

    def _database(self) -> Check:
        def look() -> str:
            name = self._store.engine.dialect.name
            return f"{name}, {self._store.events.head():,} events" if self._is_migrated() else f"{name}, reachable"

        return _check("database", look, "Start the database, or correct DATABASE_URL.", required=True)

    def _migrations(self) -> Check:
        def look() -> str:
            self._store.require_newest()
            return "up to date"

        return _check("migrations", look, "Run: playhead db upgrade", required=True)

    def _broker(self) -> Check:
        url = self._settings.celery_broker_url
        if not url:
            return Check(name="broker", ok=True, detail="none: the engine runs in the API's process")

        def look() -> str:
            parts = urlsplit(url)
            address = (parts.hostname or "127.0.0.1", parts.port or _DEFAULT_PORTS.get(parts.scheme, 0))
            socket.create_connection(address, timeout=2).close()
            return f"{parts.scheme} at {address[0]}:{address[1]}"

        return _check("broker", look, "Start the broker, or correct CELERY_BROKER_URL. Events wait meanwhile.")

    def _search(self) -> Check:
        def look() -> str:
            state = self._search_index.state()
            return f"{self._search_index.backend}, {state.documents:,} documents in {state.name}"

        return _check("search", look, "Start the search server, or correct ELASTICSEARCH_URL. Results wait meanwhile.")

    def _pipelines(self) -> Check:
        def look() -> str:
            loaded = ", ".join(pipeline.name for pipeline in self._registry) or "none loaded"
            if not self._is_migrated():
                return loaded
            backlogs = pipeline_backlogs(claims=self._store.claims, events=self._store.events, registry=self._registry)
            missing = [backlog for backlog in backlogs if not backlog.loaded and backlog.waiting + backlog.claimed]
            if missing:
                names = ", ".join(f"{each.pipeline} ({each.waiting + each.claimed:,})" for each in missing)
                raise LookupError(f"events wait for pipelines that are not loaded here: {names}")
            return loaded

        return _check("pipelines", look, "Install the package of the pipeline, or name its module in PIPELINES.")

    def _is_migrated(self) -> bool:
        """Whether the tables are there; where they are not, the check of the migrations says so, and alone."""
        try:
            self._store.require_newest()
        except Misconfigured:
            return False
        return True


def _check(name: str, look: Callable[[], str], fix: str, *, required: bool = False) -> Check:
    try:
        return Check(name=name, ok=True, detail=look(), required=required)
    except (PlayheadError, OSError, LookupError) as error:
        return Check(name=name, ok=False, detail=str(error), fix=fix, required=required)
    except Exception as error:  # noqa: BLE001  # a check reports whatever it met
        return Check(name=name, ok=False, detail=f"{type(error).__name__}: {error}"[:300], fix=fix, required=required)
