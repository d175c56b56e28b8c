"""Cursors of listings: opaque to clients, bound to the filter that they continue."""

import base64
import hashlib
from dataclasses import fields
from datetime import UTC, datetime

from pydantic_core import from_json, to_json

from application.ports.dead_letters import DeadLetterFilter
from application.ports.task_states import EventFilter
from domain.errors import InvalidRequest

Filter = EventFilter | DeadLetterFilter


def cursor_of(position: int, wanted: Filter) -> str:
    """The cursor of the page that follows a position."""
    return base64.urlsafe_b64encode(to_json([position, _digest(wanted)])).decode().rstrip("=")


def position_of(cursor: str | None, wanted: Filter) -> int | None:
    """The position that a cursor continues from.

    Raises:
        InvalidRequest: it is not a cursor, or one of another filter.
    """
    if cursor is None:
        return None
    try:
        position, digest = from_json(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError) as error:
        raise InvalidRequest("The cursor is not one that a listing gave.") from error
    if digest != _digest(wanted) or not isinstance(position, int) or not 0 < position < 2**63:
        raise InvalidRequest("The cursor belongs to another filter. Repeat the filter that the cursor came with.")
    return position


def _digest(wanted: Filter) -> str:
    parts = [
        value.astimezone(UTC) if isinstance(value, datetime) else value
        for value in (getattr(wanted, field.name) for field in fields(wanted))
    ]
    return hashlib.sha256(to_json([type(wanted).__name__, *parts])).hexdigest()[:12]
