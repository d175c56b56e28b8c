"""Biography: the life of one event, from the stores alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_core import to_json

from application.ports.claims import Claims
from application.ports.context_log import ContextLog, RecordedContext
from application.ports.effect_ledger import EffectLedger
from application.ports.event_log import EventLog
from application.ports.task_states import TaskStates
from application.use_cases.effect_states import EffectState, effects_of
from application.use_cases.events import get_event
from application.use_cases.results import INDEX
from application.use_cases.tasks import Task, task_of
from domain.context import TaskContext
from domain.effects import EmitEvent, effect_id
from domain.events import RecordedEvent
from domain.registry import PipelineRegistry


@dataclass(frozen=True, slots=True)
class Attempt:
    """A finished attempt, live or replayed."""

    row: RecordedContext
    context: TaskContext


@dataclass(frozen=True, slots=True)
class FollowUp:
    """An event that was asked for: its status, or `asked for` while it is not appended yet."""

    event_id: str
    type: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Biography:
    """An event, its task, its attempts in the order they ended, what it caused, and where its result is."""

    event: RecordedEvent
    task: Task
    attempts: Sequence[Attempt]
    follow_ups: Sequence[FollowUp]
    effects: Sequence[EffectState]
    index: str

    @property
    def json(self) -> str:
        """The biography as one JSON object."""
        attempts = ",".join(
            f'{{"position":{attempt.row.position},"context":{attempt.row.context}}}' for attempt in self.attempts
        )
        rest = to_json({"task": self.task, "follow_ups": self.follow_ups, "effects": self.effects, "index": self.index})
        return f'{{"event":{self.event.json},"attempts":[{attempts}],{rest.decode()[1:]}'


def biography_of(
    event_id: str,
    *,
    events: EventLog,
    contexts: ContextLog,
    states: TaskStates,
    claims: Claims,
    ledger: EffectLedger,
    registry: PipelineRegistry,
) -> Biography:
    """The life of an event.

    Raises:
        NotFound: there is no such event.
    """
    event = get_event(event_id, events=events)
    [state] = states.of([event])
    rows = contexts.of_event(event.position)
    attempts = [Attempt(row, TaskContext.from_json(row.context)) for row in rows]
    return Biography(
        event=event,
        task=task_of(event, state, contexts=contexts, registry=registry),
        attempts=attempts,
        effects=effects_of(rows, ledger=ledger),
        follow_ups=[_follow_up(*asked, events=events, states=states) for asked in _asked_for(attempts)],
        index=_index_state(rows, claims),
    )


def _asked_for(attempts: Sequence[Attempt]) -> list[tuple[str, str]]:
    """Id and type of the events that the live result asks for."""
    return [
        (
            effect_id(attempt.context.event.id, effect, pipeline=attempt.row.pipeline, generation=0),
            effect.type,
        )
        for attempt in attempts
        if attempt.row.status == "completed" and attempt.row.generation == 0
        for effect in attempt.context.effects
        if isinstance(effect, EmitEvent)
    ]


def _follow_up(event_id: str, type_: str, *, events: EventLog, states: TaskStates) -> FollowUp:
    event = events.get(event_id)
    return FollowUp(event_id, type_, states.of([event])[0].status if event else "asked for")


def _index_state(rows: Sequence[RecordedContext], claims: Claims) -> str:
    live = [row.position for row in rows if row.status == "completed" and row.generation == 0]
    if not live:
        return "no result to index"
    backlog = claims.backlog([INDEX]).get(INDEX)
    return "on its way" if backlog is None or backlog.cursor < live[-1] else "handed to the index"
