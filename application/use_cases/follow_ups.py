"""Follow-up events: validated in the run that asks for them, appended by the `follow-ups` subscription."""

from collections.abc import Sequence
from datetime import datetime

from pydantic_core import to_json

from application.engine import Batch, Outcome
from application.ports.context_log import RecordedContext
from application.ports.dispatcher import Dispatcher
from application.ports.event_log import MAX_APPEND, EventLog
from application.subscription import subscription_with
from application.use_cases.events import UnknownTypes, require_no_delay, routed
from domain.context import TaskContext
from domain.effects import EmitEvent, effect_id
from domain.errors import PermanentError, UnknownType
from domain.events import MAX_DEPTH, NewEvent, envelope_faults, parse_time, refuse
from domain.registry import PipelineRegistry

MAX_FOLLOW_UPS = 1000
"""Follow-up events that one run may ask for."""
MAX_BYTES = 1 << 20
"""Bytes of a follow-up's data, as of an event from outside."""


def follow_ups_of(
    context: TaskContext,
    *,
    pipeline: str,
    generation: int,
    registry: PipelineRegistry,
    unknown_types: UnknownTypes,
    validate: bool = True,
) -> list[NewEvent]:
    """The events that a run asks for; their ids and keys derive from it, so that they are appended once.

    Raises:
        PermanentError: too many, too deep, or an unusable name or time.
        UnknownType: no pipeline accepts the type, and unknown types are refused.
        InvalidEvent: the data does not fit the type's schema.
    """
    asked = [effect for effect in context.effects if isinstance(effect, EmitEvent)]
    if len(asked) > MAX_FOLLOW_UPS:
        raise PermanentError(f"The run asks for {len(asked)} follow-up events; at most {MAX_FOLLOW_UPS} may be.")
    if asked and context.event.depth >= MAX_DEPTH:
        raise PermanentError(f"The follow-up would be {MAX_DEPTH + 1} steps from its first event: a loop?")
    events = []
    for effect in asked:
        event_id = effect_id(context.event.id, effect, pipeline=pipeline, generation=generation)
        data = to_json(effect.data).decode()
        try:
            route, version = routed(
                effect.type, data, registry=registry, unknown_types=unknown_types, validate=validate
            )
        except UnknownType as error:
            raise UnknownType(f"Node {effect.node!r} asks for a follow-up event. {error.detail}") from error
        new = NewEvent(
            id=event_id,
            key=event_id,
            type=effect.type,
            data=data,
            source=pipeline if effect.source is None else effect.source,
            subject=context.event.subject if effect.subject is None else effect.subject,
            time=_time(effect.time) or context.event.time,
            not_before=_time(effect.not_before),
            route=route,
            schema_version=version,
            cause=context.event.id,
            depth=context.event.depth + 1,
        )
        if len(data.encode()) > MAX_BYTES:
            raise PermanentError(f"Node {effect.node!r} asks for a follow-up event of more than {MAX_BYTES:,} bytes.")
        if validate:
            require_no_delay(route, new.not_before, registry=registry)
        refuse(envelope_faults(type=new.type, source=new.source, subject=new.subject, key=new.key))
        events.append(new)
    return events


def _time(value: datetime | str | None) -> datetime | None:
    return parse_time(value) if isinstance(value, str) else value


def append_follow_ups(
    batch: Batch, *, registry: PipelineRegistry, events: EventLog, dispatcher: Dispatcher
) -> Sequence[Outcome]:
    """Append what the contexts of a claim ask for. Done again, it changes nothing: the keys are known."""
    rows: Sequence[RecordedContext] = batch.rows
    asked = [
        event
        for row in rows
        for event in follow_ups_of(
            TaskContext.from_json(row.context),
            pipeline=row.pipeline,
            generation=row.generation,
            registry=registry,
            # Validated when the run asked. A type that has lost its pipeline since is kept unrouted; data that no
            # longer fits its schema ends in its own run, and does not keep its neighbours waiting here.
            unknown_types="keep",
            validate=False,
        )
    ]
    for begin in range(0, len(asked), MAX_APPEND):
        chunk = asked[begin : begin + MAX_APPEND]
        events.append(chunk)
        for name, event_id in {subscription_with(event, registry): event.id for event in chunk}.items():
            if name is not None:
                dispatcher.ring(name, event_id=event_id)
    return [Outcome(position=row.position) for row in rows]
