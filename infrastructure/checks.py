"""Checks: what the service stands on, looked at from here; for `/readyz` and `doctor`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from application.ports.anchor import Anchor
from application.ports.search_index import SearchIndex
from application.use_cases.backlogs import PipelineBacklog, pipeline_backlogs
from application.use_cases.effect_states import count_effects
from application.use_cases.results import why_outdated
from application.use_cases.schemas import newer_shapes
from application.use_cases.sealing import LOGS, is_anchored, unsealed_rows
from domain.errors import Misconfigured, PlayheadError
from domain.registry import PipelineRegistry
from infrastructure.masking import Mask
from infrastructure.settings import Settings
from infrastructure.sql.store import SqlStore


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
        self,
        settings: Settings,
        store: SqlStore,
        search_index: SearchIndex,
        registry: PipelineRegistry,
        *,
        anchor: Anchor | None,
        mask: Mask,
    ) -> None:
        self._mask = mask
        self._settings = settings
        self._store = store
        self._search_index = search_index
        self._registry = registry
        self._anchor = anchor

    def all(self) -> Sequence[Check]:
        """Every check but that of the workers, the required ones first."""
        database = self._database()
        if not database.ok:
            unseen = [
                Check(name=name, ok=False, detail="not seen: the database is away", required=name == "migrations")
                for name in ("migrations", "pipelines", "seals")
            ]
            return [database, unseen[0], self._broker(), self._search(), *unseen[1:]]
        return [
            database,
            self._migrations(),
            self._durability(),
            self._broker(),
            self._search(),
            self._pipelines(),
            self._seals(),
        ]

    def thorough(self) -> Sequence[Check]:
        """Every check, also of effects and schemas, and where there is a broker, which workers answer.

        That takes a second.
        """
        found = [*self.all()]
        if all(check.ok for check in found if check.required):
            found += [self._effects(), self._schemas()]
        if self._settings.celery_broker_url and all(check.ok for check in found if check.name == "broker"):
            found.append(self._workers())
        return found

    def _effects(self) -> Check:
        def look() -> str:
            counts = count_effects(ledger=self._store.ledger)
            seen = ", ".join(f"{count:,} {status}" for status, count in counts.items())
            # No fault of the installation, so never NOT OK: what is dead stays so until somebody asks for it again.
            return f"{seen}: playhead effects list" if any(counts.values()) else seen

        return self._check("effects", look, "Start the database, or correct DATABASE_URL.")

    def _schemas(self) -> Check:
        def look() -> str:
            shapes = self._store.events.shapes()
            newer = newer_shapes(shapes, self._registry)
            if newer:
                named = ", ".join(f"{each.type} version {each.schema_version} ({each.count:,})" for each in newer)
                raise LookupError(f"events of schema versions that this code does not know: {named}")
            # What lost its pipeline long ago is no fault of the installation; events that wait for one are told above.
            lost = [f"{each.type} ({each.count:,})" for each in shapes if each.type not in self._registry.types]
            told = f"; no pipeline accepts {', '.join(lost)}" if lost else ""
            return f"{len(shapes):,} types and versions stored{told}"

        return self._check("schemas", look, "Start the newer code, which wrote them; this code hands them back.")

    def _workers(self) -> Check:
        from infrastructure.celery.app import workers_that_hear  # noqa: PLC0415  # the embedded service has no Celery

        def look() -> str:
            names = workers_that_hear(self._settings)
            if not names:
                raise LookupError("none answers: events wait")
            return ", ".join(names)

        return self._check("workers", look, "Start one: playhead worker")

    def _database(self) -> Check:
        def look() -> str:
            name = self._store.engine.dialect.name
            return f"{name}, {self._store.events.head():,} events" if self._is_migrated() else f"{name}, reachable"

        return self._check("database", look, "Start the database, or correct DATABASE_URL.", required=True)

    def _migrations(self) -> Check:
        def look() -> str:
            self._store.require_newest()
            return "up to date"

        return self._check("migrations", look, "Run: playhead db upgrade", required=True)

    def _durability(self) -> Check:
        def look() -> str:
            self._store.require_durable()
            return "what is acknowledged is on the disk"

        return self._check("durability", look, "Set it right in the database; DURABILITY=relaxed starts all the same.")

    def _broker(self) -> Check:
        url = self._settings.celery_broker_url
        if not url:
            return Check(name="broker", ok=True, detail="none: the engine runs in the API's process")

        from infrastructure.celery.connection import reach  # noqa: PLC0415  # the embedded service has no Celery

        fix = "Start the broker, or correct CELERY_BROKER_URL. Events wait meanwhile."
        return self._check("broker", lambda: reach(url), fix)

    def _search(self) -> Check:
        def look() -> str:
            state = self._search_index.state()
            outdated = self._is_migrated() and why_outdated(
                state, log_id=self._store.log_ids.of("task_contexts"), head=self._store.contexts.head()
            )
            if outdated:
                raise LookupError(outdated)
            return f"{self._search_index.backend}, {state.documents:,} documents in {state.name}"

        if self._settings.elasticsearch_url:
            fix = "Start the search server, or correct ELASTICSEARCH_URL; serve and the worker make the index."
        else:
            fix = "Start the service (playhead dev), which makes the index."
        return self._check("search", look, fix)

    def _pipelines(self) -> Check:
        def look() -> str:
            loaded = ", ".join(pipeline.name for pipeline in self._registry) or "none loaded"
            if not self._is_migrated():
                return loaded
            backlogs = pipeline_backlogs(claims=self._store.claims, events=self._store.events, registry=self._registry)
            missing = [backlog for backlog in backlogs if not backlog.loaded and backlog.waiting + backlog.claimed]
            if missing:
                names = ", ".join(f"{each.subscription} ({each.waiting + each.claimed:,})" for each in missing)
                raise LookupError(f"events wait for pipelines that are not loaded here: {names}")
            stopped = [_stopped(backlog) for backlog in backlogs if backlog.paused or backlog.held is not None]
            if stopped:
                raise LookupError("; ".join(stopped))
            waiting = sum(backlog.waiting for backlog in backlogs)
            return f"{loaded}; {waiting:,} events wait" if waiting else loaded

        return self._check("pipelines", look, "Install the package of the pipeline, or name its module in PIPELINES.")

    def _check(self, name: str, look: Callable[[], str], fix: str, *, required: bool = False) -> Check:
        try:
            return Check(name=name, ok=True, detail=self._mask(look()), required=required)
        except (PlayheadError, OSError, LookupError) as error:
            detail = self._mask(str(error))
        except Exception as error:  # noqa: BLE001  # a check reports whatever it met
            detail = self._mask(f"{type(error).__name__}: {error}")[:300]
        return Check(name=name, ok=False, detail=detail, fix=fix, required=required)

    def _seals(self) -> Check:
        def look() -> str:
            if not self._is_migrated():
                return "not seen"
            seals = self._store.seals
            waiting = ", ".join(f"{unsealed_rows(log, seals=seals):,} {log}" for log in LOGS)
            if self._anchor is None:
                return f"not sealed yet: {waiting}; no anchor"
            behind = [log for log in LOGS if not is_anchored(log, seals=seals, anchor=self._anchor)]
            if behind:
                raise LookupError(f"the anchor lacks the last seal of {' and '.join(behind)}")
            return f"not sealed yet: {waiting}; anchored"

        return self._check("seals", look, "Make the file of SEAL_ANCHOR writable; the next seal brings it up to date.")

    def _is_migrated(self) -> bool:
        """Whether the tables are there; where they are not, the check of the migrations says so, and alone."""
        try:
            self._store.require_newest()
        except Misconfigured:
            return False
        return True


def _stopped(backlog: PipelineBacklog) -> str:
    if backlog.paused:
        return f"{backlog.subscription} is paused; go on: playhead pipelines resume {backlog.pipeline}"
    return f"{backlog.subscription} is held by the dead letter at position {backlog.held}: playhead dead list"
