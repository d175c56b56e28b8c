"""For the tests of a user's package: events out of nothing, pipelines run without any service."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json

from domain.context import TaskContext
from domain.errors import InvalidEvent
from domain.events import RecordedEvent, derived_id, lane_of
from domain.pipeline import NodeFailed, Pipeline

__all__ = ["EPOCH", "InvalidEvent", "NodeFailed", "recorded", "run"]

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def recorded(
    type: str,  # noqa: A002
    data: Mapping[str, Any] | str,
    *,
    position: int = 1,
    subject: str = "",
    source: str = "test",
    time: datetime | None = None,
    recorded_at: datetime = EPOCH,
    schema_version: int = 1,
) -> RecordedEvent:
    """An event as the log would hold it. Equal arguments give an equal event, its id included.

    `data` may be the exact JSON text. `schema_version` is the version of the schema it was written with.
    """
    text = data if isinstance(data, str) else to_json(dict(data)).decode()
    event_id = derived_id("01900000-0000-7000-8000-000000000000", type, position, text)
    return RecordedEvent(
        position=position,
        id=event_id,
        type=type,
        source=source,
        subject=subject,
        time=time or recorded_at,
        recorded_at=recorded_at,
        route=None,
        lane=lane_of(subject),
        data=text,
        schema_version=schema_version,
    )


def run(pipeline: Pipeline, data: Mapping[str, Any] | str, *, type: str | None = None, **event: Any) -> TaskContext:  # noqa: A002
    """Run a pipeline over one event with this data; `type` may be left out where the pipeline has one.

    Raises:
        NodeFailed: a node raised; its cause is what it raised.
        InvalidEvent: the data does not fit the type's schema.
    """
    if type is None:
        [type] = pipeline.accepts  # noqa: A001
    version = event.pop("schema_version", pipeline.schemas[type].version)
    return pipeline.run(recorded(type, data, schema_version=version, **event))
