"""Events in: a submission is validated and routed; what the log made of it is read back."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

from application.admission import Admission
from application.ports.context_log import ContextLog, RecordedContext
from application.ports.event_log import EventLog, Verdict
from domain.envelopes import Submission
from domain.errors import Fault, InvalidEvent, NotFound, UnknownType
from domain.events import NewEvent, RecordedEvent
from domain.registry import PipelineRegistry

UnknownTypes = Literal["refuse", "keep"]

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def accept(
    submission: Submission,
    *,
    registry: PipelineRegistry,
    unknown_types: UnknownTypes,
    admission: Admission,
    new_id: Callable[[], str],
) -> NewEvent:
    """Validate a submission and give it its id and its route. Nothing is stored.

    Raises:
        UnknownType: no pipeline accepts the type, and unknown types are refused.
        InvalidEvent: the data does not fit the type's schema, with a pointer to each field; or it is to be due later
            where events end in order.
        Overloaded: too many events of its pipeline wait.
    """
    pipeline, version = routed(submission.type, submission.data, registry=registry, unknown_types=unknown_types)
    require_no_delay(pipeline, submission.not_before, registry=registry)
    admission.require(pipeline)
    return NewEvent(
        id=new_id(),
        type=submission.type,
        data=submission.data,
        source=submission.source,
        subject=submission.subject,
        time=submission.time,
        route=pipeline,
        key=submission.key,
        expected_version=submission.expected_version,
        not_before=submission.not_before,
        schema_version=version,
        attributes=submission.attributes,
    )


def answered_before(submission: Submission, *, events: EventLog) -> Verdict | None:
    """The answer that the submission's key was given for this body before, also where today's code would refuse it."""
    known = None if submission.key is None else events.with_key(submission.source, submission.key)
    if known is None or (known.type, known.subject, known.data) != (
        submission.type, submission.subject, submission.data
    ):  # fmt: skip
        return None
    return Verdict(known.id, known.position, repeated=True)


def routed(
    type_: str, data: str, *, registry: PipelineRegistry, unknown_types: UnknownTypes, validate: bool = True
) -> tuple[str | None, int]:
    """The pipeline that a type has (None: kept unrouted), and the schema version that its data is of.

    Raises:
        UnknownType: no pipeline accepts the type, and unknown types are refused.
        InvalidEvent: the data does not fit.
    """
    try:
        pipeline = registry.pipeline_for(type_)
    except UnknownType:
        if unknown_types == "refuse":
            raise
        return None, 1
    if validate:
        pipeline.read(type_, data)
    return pipeline.name, pipeline.schemas[type_].version


def require_no_delay(route: str | None, not_before: datetime | None, *, registry: PipelineRegistry) -> None:
    """Refuse an event that is due later where a lane would have to wait for it.

    Raises:
        InvalidEvent: its pipeline ends events in order.
    """
    if not_before is not None and route is not None and registry.named(route).lanes:
        message = f"Pipeline {route!r} ends the events of a subject in order, so none of them can be due later."
        raise InvalidEvent(message, faults=[Fault("/not_before", "order", message)])


def get_event(event_id: str, *, events: EventLog) -> RecordedEvent:
    """The event of this id.

    Raises:
        NotFound: there is none.
    """
    event = events.get(event_id.lower()) if is_id(event_id) else None
    if event is None:
        raise NotFound(f"There is no event {event_id[:100]!r}.")
    return event


def is_id(text: str) -> bool:
    """Whether a text has the form of the ids of events and effects."""
    return _UUID.fullmatch(text) is not None


def contexts_of(event_id: str, *, events: EventLog, contexts: ContextLog) -> Sequence[RecordedContext]:
    """Every context of an event, newest first.

    Raises:
        NotFound: there is no such event.
    """
    return contexts.of_event(get_event(event_id, events=events).position)[::-1]
