"""Times as people write and read them: UTC."""

from datetime import UTC, datetime

from domain.errors import InvalidRequest


def utc(value: datetime | None) -> datetime | None:
    """A time given without a zone is UTC."""
    return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


def written(value: datetime) -> str:
    """A time for people, to the second."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def position_or_time(text: str) -> int | datetime:
    """A position in digits, or a time as other options take it, UTC without a zone.

    Raises:
        InvalidRequest: it is neither.
    """
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"--as-of {text}: it is a position, or a time such as 2026-01-31T09:30:00.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
