"""Typed values: how the index reads what a query says and what a document holds."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from application.ports.search_index import ENVELOPE, FieldType
from domain.errors import Misconfigured
from domain.events import parse_time
from infrastructure.search.conditions import Value

TEXT = "text"
"""The name of the field that holds the words."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DAY = timedelta(days=1)
_PLAIN_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NAMES: Mapping[FieldType, str] = {
    "keyword": "a string",
    "long": "a whole number of 64 bits",
    "double": "a finite number",
    "boolean": "true or false",
    "date": "an RFC 3339 time such as 2026-01-31T09:30:00Z, or a date",
}


def read_value(value: Any, type_: FieldType) -> Value:
    """A value as the field compares it; numbers and booleans may also be written as text.

    Raises:
        ValueError: it is not a value of this type, in words that can follow the field's name.
    """
    read: Value | None = None
    match type_:
        case "date":
            read = milliseconds(read_time(value))
        case "keyword" if isinstance(value, str):
            read = value
        case "boolean":
            read = {"true": True, "false": False}.get(str(value).lower()) if isinstance(value, str | bool) else None
        case "long" | "double" if not isinstance(value, bool):
            read = _read_number(value, type_)
    if read is None:
        raise ValueError(f"takes {_NAMES[type_]}, not {str(value)[:60]!r}.")
    return read


def read_span(value: Any) -> tuple[int, int]:
    """The milliseconds that a time or a date covers, the first inclusive, the last exclusive.

    Raises:
        ValueError: it is neither.
    """
    start = milliseconds(read_time(value))
    whole_day = isinstance(value, str) and _PLAIN_DATE.fullmatch(value)
    return start, start + (_DAY // _MILLISECOND if whole_day else 1)


def read_time(value: Any) -> datetime:
    """An RFC 3339 time, a plain date (its first moment) or a time without offset (taken as UTC), in UTC.

    Raises:
        ValueError: it is none of these.
    """
    try:
        if isinstance(value, str):
            text = f"{value}T00:00:00Z" if _PLAIN_DATE.fullmatch(value) else value
            return parse_time(text if text[-1:] in "Zz" or text[-6:-5] in {"+", "-"} else f"{text}Z")
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"takes {_NAMES['date']}, not {str(value)[:60]!r}.")


def milliseconds(time: datetime) -> int:
    """How an index compares times: milliseconds since 1970, rounded down."""
    return (time - _EPOCH) // _MILLISECOND


def canonical(value: Any, time: datetime) -> str:
    """How answers show a time that was read from a value; most values are written so already."""
    return value if isinstance(value, str) and _CANONICAL.fullmatch(value) else time_text(time)


def time_text(time: datetime | int) -> str:
    """A time (or milliseconds since 1970) as RFC 3339 text in UTC."""
    if isinstance(time, int):
        time = _EPOCH + time * _MILLISECOND
    return time.isoformat().replace("+00:00", "Z")


def shown(value: Any, type_: FieldType) -> Any:
    """A compared value as answers show it."""
    if type_ == "date":
        return time_text(int(value))
    return bool(value) if type_ == "boolean" else value


def merged(present: Mapping[str, FieldType], wanted: Mapping[str, FieldType]) -> dict[str, FieldType]:
    """The fields of an index that has these, once it is opened for those.

    Raises:
        Misconfigured: a field would have two types.
    """
    for name, type_ in wanted.items():
        if name == TEXT or present.get(name, type_) != type_ or ENVELOPE.get(name, type_) != type_:
            there = "the words" if name == TEXT else present.get(name) or ENVELOPE[name]
            raise Misconfigured(
                f"The search index holds field {name!r} as {there}, and a pipeline's document now has it as {type_}. "
                "Rename the field, or rebuild the index: playhead index rebuild."
            )
    return {**ENVELOPE, **present, **wanted}


def _read_number(value: Any, type_: FieldType) -> Value | None:
    """The number that a value is, or that a text stands for in decimal notation."""
    whole = type_ == "long"
    if isinstance(value, str):
        form = _INTEGER if whole else _NUMBER
        value = (int if whole else float)(value) if form.fullmatch(value) else None
    if whole:
        return value if isinstance(value, int) and -(2**63) <= value < 2**63 else None
    try:
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
    except OverflowError:
        return None
