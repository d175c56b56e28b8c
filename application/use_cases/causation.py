"""Causation: which events led to one, and which it led to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from application.ports.event_log import EventLog
from application.ports.task_states import TaskStates
from domain.events import MAX_DEPTH, RecordedEvent

MAX_RELATIVES = 200
"""Events that are told of below one."""
ASKED_FOR = "asked for"
"""The status of an event that a context asks for and that is not appended yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """An event before or after another: its place in the tree, its pipeline, and the status of its task."""

    event_id: str
    type: str
    status: str
    cause: str | None
    depth: int
    position: int | None = None
    pipeline: str | None = None
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Causation:
    """The `causes` of an event from the first to its own; what it `caused`, by depth; `cut` says that there is more.

    An event's parent is the one whose id is its `cause`.
    """

    causes: Sequence[Relative]
    caused: Sequence[Relative]
    cut: bool


def causation_of(event: RecordedEvent, asked: Mapping[str, str], *, events: EventLog, states: TaskStates) -> Causation:
    """The causes of an event, up to the first, and at most 200 of the events below it.

    `asked` has the types of the events that its result asks for, by id; they may not be appended yet.
    """
    before, after = _causes(event, events), _caused(event, events)
    cut = len(after) > MAX_RELATIVES
    after = after[:MAX_RELATIVES]
    family = [*before, *after]
    found = [_relative(each, state.status) for each, state in zip(family, states.of(family), strict=True)]
    known = {each.event_id for each in found}
    missing = [
        Relative(event_id=event_id, type=type_, status=ASKED_FOR, cause=event.id, depth=event.depth + 1)
        for event_id, type_ in asked.items()
        if event_id not in known and not cut
    ]
    return Causation(causes=found[: len(before)], caused=[*found[len(before) :], *missing], cut=cut)


def _causes(event: RecordedEvent, events: EventLog) -> list[RecordedEvent]:
    found: list[RecordedEvent] = []
    while event.cause is not None and len(found) < MAX_DEPTH:
        cause = events.get(event.cause)
        if cause is None:
            break  # an older state of the log was restored, and the event appended to it again
        found.append(event := cause)
    return found[::-1]


def _caused(event: RecordedEvent, events: EventLog) -> list[RecordedEvent]:
    """One more than may be told of, where there are more."""
    found: list[RecordedEvent] = []
    level = [event]
    while level and len(found) <= MAX_RELATIVES and level[0].depth < MAX_DEPTH:
        level = events.caused_by([each.id for each in level], limit=MAX_RELATIVES + 1 - len(found))
        found += level
    return found


def _relative(event: RecordedEvent, status: str) -> Relative:
    return Relative(
        event_id=event.id,
        type=event.type,
        status=status,
        cause=event.cause,
        depth=event.depth,
        position=event.position,
        pipeline=event.route,
        recorded_at=event.recorded_at,
    )
