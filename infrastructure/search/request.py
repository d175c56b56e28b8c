"""Request: a search whose every part was checked against the fields, as each keeper answers it."""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from pydantic_core import to_json

from application.ports.search_index import Aggregation, FieldType, SearchQuery
from domain.json_faults import has_lone_surrogate
from infrastructure.search.conditions import All, AnyOf, Condition, Either, asked_words
from infrastructure.search.lucene import compared, equal, known_type, parse, refusal
from infrastructure.search.values import read_value

MAX_SIZE = 1_000
MAX_BUCKETS = 10_000
"""Of one date_histogram."""
MAX_AGGS = 20
"""Of one search: each reads all that is found."""
MAX_LIST = 1_000
"""Values of one filter."""
_LIMITS = {"gte", "gt", "lte", "lt"}
_NUMBERS = {"long", "double"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a keeper has to answer.

    `sort` is None for relevance. Documents without a value of it come last; equal ones by newest position.
    `after` is the sort value and the position of the last hit before this page. `digest` names the query.
    """

    asked: Condition
    filtered: Condition
    sort: str | None
    descending: bool
    size: int
    after: tuple[Any, int] | None
    aggs: Mapping[str, Aggregation]
    digest: str

    @property
    def condition(self) -> Condition:
        """All that a hit must fit."""
        return All((self.asked, self.filtered))

    def cursor(self, value: Any, position: int) -> str:
        """The cursor that goes on behind a hit with this sort value."""
        return urlsafe_b64encode(to_json([self.digest, value, position])).decode().rstrip("=")


def read_request(query: SearchQuery, fields: Mapping[str, FieldType], backend: str) -> Request:
    """Check a query.

    Raises:
        InvalidQuery: some part of it is not understood; the fault points to it.
    """
    if isinstance(query.size, bool) or not 0 <= query.size <= MAX_SIZE:
        raise refusal(f"The size must be 0 to {MAX_SIZE:,}.", "/size", "size")
    asked = parse(query.q, fields)
    sort = query.sort
    if sort is None and not any(asked_words(asked)):
        sort = "-position"
    field = sort.removeprefix("-") if sort is not None else None
    if field is not None:
        known_type(field, fields, "/sort")
    if len(query.aggs) > MAX_AGGS:
        raise refusal(f"A search may have {MAX_AGGS} aggregations, not {len(query.aggs):,}.", "/aggs", "aggregation")
    for name, aggregation in query.aggs.items():
        _check(aggregation, fields, f"/aggs/{name}")
    parts = to_json([backend, query.q, dict(query.filters), query.sort])
    digest = hashlib.sha256(parts).hexdigest()[:16]
    return Request(
        asked=asked,
        filtered=All(tuple(_filter(name, value, fields) for name, value in query.filters.items())),
        sort=field,
        descending=sort is None or sort.startswith("-"),
        size=query.size,
        after=_after(query.cursor, digest),
        aggs=query.aggs,
        digest=digest,
    )


def _filter(name: str, value: Any, fields: Mapping[str, FieldType]) -> Condition:
    pointer = f"/filters/{name}"
    type_ = known_type(name, fields, pointer)
    try:
        return _fitting(name, type_, value)
    except ValueError as error:
        raise refusal(f"Filter {name!r} {error}", pointer, "value") from error


def _fitting(name: str, type_: FieldType, value: Any) -> Condition:
    """What a filter's value asks for.

    Raises:
        ValueError: it is not one for this type.
    """
    if isinstance(value, Mapping):
        lows, highs = value.keys() & {"gte", "gt"}, value.keys() & {"lte", "lt"}
        if not value or value.keys() - _LIMITS or len(lows) > 1 or len(highs) > 1:
            raise ValueError("takes a range of gte or gt, and lte or lt.")
        return compared(name, type_, value)
    if not isinstance(value, list | tuple):
        return equal(name, type_, value)
    if not 0 < len(value) <= MAX_LIST:
        raise ValueError(f"takes a list of 1 to {MAX_LIST:,} values.")
    if type_ == "date":
        return Either(tuple(equal(name, type_, item) for item in value))
    return AnyOf(name, tuple(read_value(item, type_) for item in value))


def _check(aggregation: Aggregation, fields: Mapping[str, FieldType], pointer: str) -> None:
    type_ = known_type(aggregation.field, fields, f"{pointer}/field")
    match aggregation.kind:
        case "terms":
            if not 1 <= aggregation.size <= MAX_SIZE:
                raise refusal(f"The size of a terms aggregation must be 1 to {MAX_SIZE:,}.", f"{pointer}/size", "size")
        case "date_histogram":
            if type_ != "date":
                raise refusal(
                    f"A date_histogram needs a date; {aggregation.field!r} is {type_}.",
                    f"{pointer}/field",
                    "type",
                )
            if aggregation.interval not in {"minute", "hour", "day", "week", "month"}:
                raise refusal("The interval is minute, hour, day, week or month.", f"{pointer}/interval", "interval")
        case "stats":
            if aggregation.stats is not None:
                raise refusal("A stats aggregation holds no other.", f"{pointer}/stats", "aggregation")
            _check_number(aggregation.field, type_, f"{pointer}/field")
        case _:
            raise refusal("An aggregation is terms, date_histogram or stats.", f"{pointer}/kind", "aggregation")
    if aggregation.stats is not None:
        numbers = known_type(aggregation.stats, fields, f"{pointer}/stats")
        _check_number(aggregation.stats, numbers, f"{pointer}/stats")


def _check_number(field: str, type_: FieldType, pointer: str) -> None:
    if type_ not in _NUMBERS:
        raise refusal(f"Stats need a field of numbers; {field!r} is {type_}.", pointer, "type")


def _after(cursor: str | None, digest: str) -> tuple[Any, int] | None:
    if cursor is None:
        return None
    try:
        belongs_to, value, position = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, RecursionError) as error:
        raise refusal("The cursor is not one of ours.", "/cursor", "cursor") from error
    if belongs_to != digest:
        raise refusal("The cursor belongs to another query; repeat that query or start anew.", "/cursor", "cursor")
    if type(position) is not int or abs(position) >= 2**63 or not _is_comparable(value):
        raise refusal("The cursor is not one of ours.", "/cursor", "cursor")
    return value, position


def _is_comparable(value: Any) -> bool:
    match value:
        case str():
            return not has_lone_surrogate(value)
        case int():
            return -(2**63) <= value < 2**63
        case float():
            return isfinite(value)
    return value is None


def too_many_buckets(name: str) -> Exception:
    """The refusal of a date_histogram that is too fine for its range."""
    return refusal(
        f"{name!r} would have more than {MAX_BUCKETS:,} buckets; take a longer interval or a shorter range.",
        f"/aggs/{name}/interval",
        "buckets",
    )
