"""Types of fields that several bodies and queries have."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from domain.events import parse_time

MAX_POSITION = 2**63 - 1

Name = Annotated[str | None, Field(pattern=r"^[^\x00]*$")]
"""A name that is looked for: PostgreSQL's text holds no NUL."""
Time = Annotated[datetime | None, BeforeValidator(lambda value: parse_time(value) if isinstance(value, str) else value)]
"""A time as an event's is written: RFC 3339."""


def _read_as_of(value: Any) -> Any:
    if not isinstance(value, str) or (value.isascii() and value.isdigit()):
        return value
    return parse_time(value)


AsOf = Annotated[
    Annotated[int, Field(ge=0, le=MAX_POSITION)] | datetime | None,
    BeforeValidator(_read_as_of),
    Field(description="A moment of the past: a position of the log that is read, or a time (RFC 3339)."),
]
"""A position, or a time."""
