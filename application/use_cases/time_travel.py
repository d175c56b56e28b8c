"""Time travel: what the logs held at a past moment, and how far each event was then.

The two logs have positions of their own. A time is one moment for both; a position is the moment at which that row was
recorded, and is of the log that the answer is read from. Results are those of the view that held then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from application.ports.context_log import ContextLog, ContextStatus, Deciding, RecordedContext
from application.ports.event_log import EventLog
from application.ports.promotions import Promotions, View
from application.ports.task_states import EventFilter, PastStatus, TaskStates
from application.subscription import Log, Selection
from application.use_cases.events import get_event
from application.use_cases.tasks import Task, task_by
from domain.errors import InvalidRequest, NotFound
from domain.events import RecordedEvent
from domain.registry import PipelineRegistry

AsOf = int | datetime
"""A position of a log, or a time."""
_STATUSES: Mapping[ContextStatus, PastStatus] = {
    "completed": "succeeded",
    "dead": "failed",
    "discarded": "discarded",
    "failed": "open",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """How far each of the logs was, its last position then; and from which generations results were read."""

    events: int
    contexts: int
    view: View = field(default_factory=View)


@dataclass(frozen=True, slots=True)
class PastEvent:
    """An event, and how far it was."""

    event: RecordedEvent
    status: PastStatus


def moment_of(as_of: AsOf, log: Log, *, events: EventLog, contexts: ContextLog, promotions: Promotions) -> Moment:
    """The moment that a position of this log, or a time, means.

    Raises:
        InvalidRequest: it has not come yet.
    """
    if isinstance(as_of, datetime):
        if as_of > (now := events.now()):
            raise InvalidRequest(f"As of {as_of.isoformat()} nothing is known yet: it is {now.isoformat()}.")
        return Moment(events.position_at(as_of), contexts.position_at(as_of), _view_at(as_of, promotions))
    head = events.head() if log == "events" else contexts.head()
    if as_of > head:
        raise InvalidRequest(f"There is no position {as_of} yet: the log ends at {head}.")
    if as_of == 0:
        return Moment(0, 0)
    if log == "events":
        [event] = events.read(Selection(positions=(as_of,)), limit=1)
        return Moment(as_of, contexts.position_at(event.recorded_at), _view_at(event.recorded_at, promotions))
    [context] = contexts.read(Selection(positions=(as_of,)), limit=1)
    return Moment(events.position_at(context.recorded_at), as_of, _view_at(context.recorded_at, promotions))


def _view_at(time: datetime, promotions: Promotions) -> View:
    return next((view for view in promotions.list() if view.at is not None and view.at <= time), View())


def list_events_as_of(
    wanted: EventFilter,
    moment: Moment,
    *,
    before: int | None = None,
    after: int | None = None,
    limit: int,
    states: TaskStates,
    contexts: ContextLog,
) -> list[PastEvent]:
    """The events that fit, as `TaskStates.find` lists them, with how far each was; `wanted` ends at the moment's last.

    Raises:
        InvalidRequest: a status is asked for; which event had one is not kept.
    """
    if wanted.status is not None:
        raise InvalidRequest("A status that events had in the past cannot be looked for: leave out status, or as_of.")
    listed = states.find(wanted, before=before, after=after, limit=limit)
    found = [each.event for each in listed]
    deciding = contexts.deciding([event.position for event in found], moment.view, last=moment.contexts)
    return [PastEvent(event, _status(event, deciding.get(event.position))) for event in found]


def contexts_as_of(
    event_id: str, as_of: AsOf, *, events: EventLog, contexts: ContextLog, promotions: Promotions
) -> Sequence[RecordedContext]:
    """The contexts that an event had, newest first.

    Raises:
        NotFound: there was no such event.
        InvalidRequest: the moment has not come yet.
    """
    event, moment = _event_as_of(event_id, as_of, events, contexts, promotions)
    return [row for row in reversed(contexts.of_event(event.position)) if row.position <= moment.contexts]


def task_as_of(
    task_id: str,
    as_of: AsOf,
    *,
    events: EventLog,
    contexts: ContextLog,
    promotions: Promotions,
    registry: PipelineRegistry,
) -> Task:
    """How far an event was. What it was requeued for, or ran as, is not kept: its last context by then decides.

    Raises:
        NotFound: there was no such event.
        InvalidRequest: the moment has not come yet.
    """
    event, moment = _event_as_of(task_id, as_of, events, contexts, promotions)
    deciding = contexts.deciding([event.position], moment.view, last=moment.contexts).get(event.position)
    status, position = _status(event, deciding), None if deciding is None else deciding.position
    return task_by(event, status, position, contexts=contexts, registry=registry)


def _event_as_of(
    event_id: str, as_of: AsOf, events: EventLog, contexts: ContextLog, promotions: Promotions
) -> tuple[RecordedEvent, Moment]:
    event = get_event(event_id, events=events)
    moment = moment_of(as_of, "task_contexts", events=events, contexts=contexts, promotions=promotions)
    if event.position > moment.events:
        raise NotFound(f"There was no event {event_id} yet; it was recorded {event.recorded_at.isoformat()}.")
    return event, moment


def _status(event: RecordedEvent, deciding: Deciding | None) -> PastStatus:
    if deciding is not None:
        return _STATUSES[deciding.status]
    return "unrouted" if event.route is None else "open"
