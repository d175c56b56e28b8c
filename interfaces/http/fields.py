"""Types of fields that several bodies and queries have."""

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field

from domain.events import parse_time

Name = Annotated[str | None, Field(pattern=r"^[^\x00]*$")]
"""A name that is looked for: PostgreSQL's text holds no NUL."""
Time = Annotated[datetime | None, BeforeValidator(lambda value: parse_time(value) if isinstance(value, str) else value)]
"""A time as an event's is written: RFC 3339."""
