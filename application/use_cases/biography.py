"""Biography: the life of one event, from the stores alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from msgspec.structs import asdict
from pydantic_core import to_json

from application.ports.audit import Audit
from application.ports.claims import Claims
from application.ports.context_log import ContextLog, RecordedContext
from application.ports.effect_ledger import EffectLedger
from application.ports.event_log import EventLog
from application.ports.promotions import LIVE, Promotions, View
from application.ports.replays import Replays
from application.ports.search_index import SearchIndex, SearchQuery
from application.ports.task_states import EventClaim, TaskStates
from application.use_cases.attempts import Attempt, attempts_of
from application.use_cases.causation import Causation, causation_of
from application.use_cases.dead_letters import Decision, decisions_of
from application.use_cases.effect_states import EffectLife, lives_of
from application.use_cases.events import get_event
from application.use_cases.results import INDEX
from application.use_cases.tasks import Task, task_of
from domain.effects import EmitEvent
from domain.errors import Fault, InvalidQuery, PlayheadError, Unavailable
from domain.events import OWN_SOURCE, RecordedEvent
from domain.pipeline import Pipeline
from domain.registry import PipelineRegistry

Origin = Literal["request", "schedule", "pipeline"]
"""Who sent an event: a client, the clock, or the pipeline of another event."""
IndexStatus = Literal["nothing to index", "on its way", "indexed", "missing", "away"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaReading:
    """How today's code reads an event's data: lifted from the `stored` version to `today`'s, by these upcasters.

    `faults` say why the data does not fit today's `model`.
    """

    pipeline: str
    model: str
    stored: int
    today: int
    lifted_by: Sequence[str]
    faults: Sequence[Fault] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOfEvent:
    """A replay that selects the event, and the status of its last context in it; None where it has not ended there.

    Of one that is `promoted` results are read, unless a later one has them.
    """

    id: int
    planned_at: datetime
    status: str | None
    promoted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """What the index has of the event; `detail` says why it is `away`.

    `on its way`: the index has not come to the result yet. `missing`: it has, and does not find it (yet: what was put
    is found within a second).
    """

    backend: str
    status: IndexStatus
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Biography:
    """All that the stores know of an event at `now`, by the database's clock.

    Attempts are in the order they ended, decisions in that of time. `schema` is None where no loaded pipeline
    accepts the type; `claim` where no claim covers the event.
    """

    event: RecordedEvent
    now: datetime
    origin: Origin
    task: Task
    schema: SchemaReading | None
    claim: EventClaim | None
    attempts: Sequence[Attempt]
    decisions: Sequence[Decision]
    effects: Sequence[EffectLife]
    index: IndexEntry
    replays: Sequence[ReplayOfEvent]
    causation: Causation

    @property
    def json(self) -> str:
        """The biography as one JSON object; the event's data to the letter."""
        rest = {name: getattr(self, name) for name in self.__slots__ if name != "event"}
        return f'{{"event":{self.event.json},{to_json(rest).decode()[1:]}'


def biography_of(
    event_id: str,
    *,
    events: EventLog,
    contexts: ContextLog,
    states: TaskStates,
    claims: Claims,
    ledger: EffectLedger,
    audit: Audit,
    replays: Replays,
    promotions: Promotions,
    index: SearchIndex,
    registry: PipelineRegistry,
) -> Biography:
    """The life of an event. A search index that is away is said to be; all else is in the database.

    Raises:
        NotFound: there is no such event.
        Unavailable: the database cannot be reached.
    """
    event, view = get_event(event_id, events=events), promotions.current()
    [state] = states.of([event])
    rows = contexts.of_event(event.position)
    attempts = attempts_of(event, rows, registry=registry)
    return Biography(
        event=event,
        now=events.now(),
        origin="pipeline" if event.cause else "schedule" if event.source.startswith(OWN_SOURCE) else "request",
        task=task_of(event, state, contexts=contexts, registry=registry),
        schema=_schema_reading(event, registry),
        claim=state.claim,
        attempts=attempts,
        decisions=decisions_of(event, rows, audit=audit),
        effects=lives_of(rows, ledger=ledger),
        index=_index_entry(event, rows, view, claims=claims, index=index),
        replays=_replays(event, rows, view, replays),
        causation=causation_of(event, _asked_for(attempts), events=events, states=states),
    )


def _schema_reading(event: RecordedEvent, registry: PipelineRegistry) -> SchemaReading | None:
    pipeline = _pipeline(event, registry)
    if pipeline is None:
        return None
    schema = pipeline.schemas[event.type]
    faults: Sequence[Fault] = ()
    try:
        pipeline.read(event.type, event.data, event.schema_version)
    except PlayheadError as error:
        faults = error.faults or [Fault("", error.code, error.detail)]
    except Exception as error:  # noqa: BLE001  # a model's validators are the user's, and may fail in any way
        faults = [Fault("", type(error).__name__, str(error))]
    return SchemaReading(
        pipeline=pipeline.name,
        model=schema.model.__name__,
        stored=event.schema_version,
        today=schema.version,
        lifted_by=schema.lifting(event.schema_version),
        faults=faults,
    )


def _pipeline(event: RecordedEvent, registry: PipelineRegistry) -> Pipeline | None:
    """The pipeline that would run the event today: the one that it was routed to, else its type's."""
    if event.route is not None and event.route in registry and event.type in registry.named(event.route).accepts:
        return registry.named(event.route)
    return registry.pipeline_for(event.type) if event.type in registry.types else None


def _asked_for(attempts: Sequence[Attempt]) -> dict[str, str]:
    """The types of the events that the live result asks for, by id."""
    return {
        effect.effect_id: effect.target
        for attempt in attempts
        if (attempt.status, attempt.generation) == ("completed", LIVE)
        for node in attempt.nodes
        for effect in node.effects
        if effect.kind == EmitEvent.kind
    }


def _index_entry(
    event: RecordedEvent, rows: Sequence[RecordedContext], view: View, *, claims: Claims, index: SearchIndex
) -> IndexEntry:
    results = [row.position for row in rows if row.status == "completed" and row.generation in view.ranks]
    if not results:
        return IndexEntry(backend=index.backend, status="nothing to index")
    try:
        found = index.search(SearchQuery(filters={"event_id": event.id}, size=1)).hits
    except (Unavailable, InvalidQuery) as error:
        return IndexEntry(backend=index.backend, status="away", detail=error.detail)
    if found:
        return IndexEntry(backend=index.backend, status="indexed")
    backlog = claims.backlog([INDEX]).get(INDEX)
    done = backlog is not None and backlog.cursor >= results[-1] and not backlog.claims
    return IndexEntry(backend=index.backend, status="missing" if done else "on its way")


def _replays(
    event: RecordedEvent, rows: Sequence[RecordedContext], view: View, replays: Replays
) -> list[ReplayOfEvent]:
    statuses = {row.generation: row.status for row in rows}
    return [
        ReplayOfEvent(
            id=replay.id,
            planned_at=replay.created_at,
            status=statuses.get(replay.id),
            promoted=replay.id in view.promoted,
        )
        for replay in reversed(replays.list())
        if replay.selection.has(asdict(event))
    ]
