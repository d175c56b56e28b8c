"""Schemas: whether this code still reads what is stored, of every shape."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from application.ports.event_log import EventLog, Shape
from application.subscription import Selection
from domain.errors import PlayheadError
from domain.events import RecordedEvent
from domain.pipeline import Pipeline
from domain.registry import PipelineRegistry

SAMPLE = 100
"""Events that are read of each shape, unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """The first event of a shape that this code does not read: where (a JSON pointer, empty: nowhere in it) and why."""

    event_id: str
    position: int
    pointer: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedShape:
    """What became of a shape's events: of `stored` ones `checked` were read, and `failing` could not be.

    `pipeline` is the one that accepts the type today; None where none does, and then nothing is checked.
    """

    type: str
    schema_version: int
    pipeline: str | None
    stored: int
    checked: int = 0
    failing: int = 0
    first: Unreadable | None = None


def check_schemas(
    *, sample: int | None = SAMPLE, events: EventLog, registry: PipelineRegistry
) -> Sequence[CheckedShape]:
    """Read a sample of every stored shape (None: all of it) as this code would. Nothing is run or written."""
    return [_checked(shape, sample, events, registry) for shape in events.shapes()]


def newer_shapes(shapes: Iterable[Shape], registry: PipelineRegistry) -> Sequence[Shape]:
    """The shapes whose schema version is newer than this code: other code has written them."""
    return [
        shape
        for shape in shapes
        if shape.type in registry.types
        and shape.schema_version > registry.pipeline_for(shape.type).schemas[shape.type].version
    ]


def _checked(shape: Shape, sample: int | None, events: EventLog, registry: PipelineRegistry) -> CheckedShape:
    found = CheckedShape(type=shape.type, schema_version=shape.schema_version, pipeline=None, stored=shape.count)
    if shape.type not in registry.types:
        return found
    pipeline = registry.pipeline_for(shape.type)
    selection = Selection(where={"type": shape.type, "schema_version": shape.schema_version})
    rows = events.stream(selection) if sample is None else events.sample(shape, limit=sample)
    checked = failing = 0
    first = None
    for event in islice(rows, shape.count):  # others may be appended meanwhile
        checked += 1
        if (fault := _unreadable(event, pipeline)) is not None:
            failing += 1
            first = first or fault
    return replace(found, pipeline=pipeline.name, checked=checked, failing=failing, first=first)


def _unreadable(event: RecordedEvent, pipeline: Pipeline) -> Unreadable | None:
    try:
        pipeline.read(event.type, event.data, event.schema_version)
    except Exception as error:  # noqa: BLE001  # a user's validator may raise anything
        faults = error.faults if isinstance(error, PlayheadError) else ()
        return Unreadable(
            event_id=event.id,
            position=event.position,
            pointer=faults[0].pointer if faults else "",
            message=str(error) if isinstance(error, PlayheadError) else f"{type(error).__name__}: {error}",
        )
    return None
