"""Tasks: the state of an event's run, in our words and in Celery's. A task id is an event id."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from application.ports.context_log import ContextLog
from application.ports.event_log import EventLog
from application.ports.task_states import PastStatus, TaskState, TaskStates, TaskStatus
from application.use_cases.events import get_event
from domain.context import TaskContext
from domain.events import RecordedEvent
from domain.registry import PipelineRegistry

CeleryState = Literal["PENDING", "PROGRESS", "SUCCESS", "FAILURE", "RETRY"]

CELERY_STATES: Mapping[TaskStatus | PastStatus, CeleryState] = {
    "queued": "PENDING",
    "unrouted": "PENDING",
    "running": "PROGRESS",
    "retrying": "RETRY",
    "succeeded": "SUCCESS",
    "failed": "FAILURE",
    "discarded": "FAILURE",
    "open": "PENDING",
}
_BEGUN = {"status": "processing", "current_step": "", "progress": 0.0}
"""The meta of a run that has said nothing yet."""
ENDED: frozenset[TaskStatus] = frozenset({"succeeded", "failed", "discarded"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as a client follows it.

    `meta` is, for PROGRESS: status, current_step, progress (0 to 1); for RETRY and FAILURE: exc_type, exc_message,
    retry_count, max_retries. `result` is, for SUCCESS, each node's output by name; `generation` is then 0 where it is
    that of the live run, else the promoted replay whose it is.
    """

    task_id: str
    state: CeleryState
    status: TaskStatus | PastStatus
    pipeline: str | None
    meta: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None
    due_at: datetime | None = None
    generation: int | None = None


def get_task(
    task_id: str, *, events: EventLog, contexts: ContextLog, states: TaskStates, registry: PipelineRegistry
) -> Task:
    """The task of this id.

    Raises:
        NotFound: no event has the id.
    """
    event = get_event(task_id, events=events)
    [state] = states.of([event])
    return task_of(event, state, contexts=contexts, registry=registry)


def task_of(event: RecordedEvent, state: TaskState, *, contexts: ContextLog, registry: PipelineRegistry) -> Task:
    """The task of an event whose state is known."""
    meta = state.progress or (_BEGUN if state.status == "running" else None)
    task = task_by(event, state.status, state.context_position, contexts=contexts, registry=registry)
    return replace(task, meta=task.meta or meta, due_at=state.due_at)


def task_by(
    event: RecordedEvent,
    status: TaskStatus | PastStatus,
    context_position: int | None,
    *,
    contexts: ContextLog,
    registry: PipelineRegistry,
) -> Task:
    """The task of an event with a status that the context at a position decided, if one did."""
    result = meta = generation = None
    if context_position is not None:
        deciding = next(row for row in contexts.of_event(event.position) if row.position == context_position)
        context = TaskContext.from_json(deciding.context)
        if status == "succeeded":
            result, generation = context.outputs, deciding.generation
        else:
            meta = _failure_meta(context, event, registry)
    return Task(
        task_id=event.id,
        state=CELERY_STATES[status],
        status=status,
        pipeline=event.route,
        meta=meta,
        result=result,
        generation=generation,
    )


def _failure_meta(context: TaskContext, event: RecordedEvent, registry: PipelineRegistry) -> dict[str, Any]:
    run = context.run
    failure = run.failure if run else None
    pipeline = registry.named(event.route) if event.route is not None and event.route in registry else None
    return {
        "exc_type": failure.type if failure else None,
        "exc_message": failure.message if failure else None,
        "retry_count": run.attempt - 1 if run else 0,
        "max_retries": pipeline.retry.attempts - 1 if pipeline else None,
    }
