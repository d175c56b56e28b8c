"""Times as people write and read them: UTC."""

from datetime import UTC, datetime


def utc(value: datetime | None) -> datetime | None:
    """A time given without a zone is UTC."""
    return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


def written(value: datetime) -> str:
    """A time for people, to the second."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
