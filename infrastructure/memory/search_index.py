"""MemorySearchIndex: the plain meaning of every query, evaluated document by document."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from threading import Lock
from typing import Any

from application.ports.search_index import (
    ENVELOPE,
    Aggregation,
    FieldType,
    IndexState,
    Rejection,
    SearchAnswer,
    SearchDocument,
    SearchQuery,
)
from infrastructure.search.conditions import (
    All,
    AnyOf,
    Between,
    Bound,
    Condition,
    Either,
    Everything,
    Exists,
    Like,
    Not,
    Value,
    Words,
    asked_words,
    pattern_parts,
)
from infrastructure.search.entries import Entry, entries_of
from infrastructure.search.request import MAX_BUCKETS, Request, read_request, too_many_buckets
from infrastructure.search.values import merged, milliseconds, read_time, shown, time_text


class MemorySearchIndex:
    """A SearchIndex in this process, for tests."""

    backend = "memory"

    def __init__(self) -> None:
        self._lock = Lock()
        self._fields: dict[str, FieldType] = dict(ENVELOPE)
        self._entries: dict[str, Entry] = {}
        self._log_id: str | None = None

    def open(self, fields: Mapping[str, FieldType], *, anew: Callable[[], None] = lambda: None) -> None:
        if not self._entries:
            anew()
        with self._lock:
            self._fields = merged(self._fields, fields)

    def put(self, documents: Sequence[SearchDocument]) -> list[Rejection]:
        with self._lock:
            entries, rejections = entries_of(documents, self._fields)
            for entry in entries:
                kept = self._entries.setdefault(entry.event_id, entry)
                if entry.version >= kept.version:
                    self._entries[entry.event_id] = entry
        return rejections

    def search(self, query: SearchQuery) -> SearchAnswer:
        with self._lock:
            fields, entries = dict(self._fields), list(self._entries.values())
        request = read_request(query, fields, self.backend)
        found = [entry for entry in entries if _fits(entry, request.condition)]
        ranked = sorted(found, key=lambda entry: _rank(request, _sort_value(entry, request), entry))
        if request.after is not None:
            last, position = request.after
            ranked = [
                entry
                for entry in ranked
                if _rank(request, _sort_value(entry, request), entry) > _rank(request, last, position)
            ]
        page = ranked[: request.size]
        cursor = None
        if page and len(ranked) > len(page):
            cursor = request.cursor(_sort_value(page[-1], request), _position(page[-1]))
        return SearchAnswer(
            hits=[entry.hit for entry in page],
            total=len(found),
            aggs={name: _aggregate(name, found, agg, fields) for name, agg in request.aggs.items()},
            cursor=cursor,
            log_id=self._log_id,
        )

    def start_anew(self, fields: Mapping[str, FieldType]) -> None:
        with self._lock:
            self._fields, self._entries, self._log_id = merged({}, fields), {}, None

    def label(self, log_id: str) -> None:
        self._log_id = log_id

    def state(self) -> IndexState:
        version = max((entry.version for entry in self._entries.values()), default=0)
        return IndexState(name="memory", documents=len(self._entries), log_id=self._log_id, version=version)


def _fits(entry: Entry, condition: Condition) -> bool:
    match condition:
        case Everything():
            return True
        case Words():
            return _holds(entry, condition)
        case Not(part):
            return not _fits(entry, part)
        case All(parts):
            return all(_fits(entry, part) for part in parts)
        case Either(parts):
            return any(_fits(entry, part) for part in parts)
    return any(map(_test(condition), entry.values.get(condition.field, ())))


def _test(condition: AnyOf | Between | Like | Exists) -> Callable[[Any], bool]:
    match condition:
        case AnyOf(_, values):
            return lambda value: value in values
        case Between(_, low, high):
            return lambda value: _above(value, low) and _below(value, high)
        case Like(_, pattern):
            wild = {"*": ".*", "?": "."}
            parts = [wild[part] if is_wild else re.escape(part) for part, is_wild in pattern_parts(pattern)]
            return re.compile("".join(parts), re.DOTALL).fullmatch  # type: ignore[return-value]  # a match is true
    return lambda _: True


def _above(value: Any, low: Bound | None) -> bool:
    return low is None or value > low.value or (value == low.value and not low.open)


def _below(value: Any, high: Bound | None) -> bool:
    return high is None or value < high.value or (value == high.value and not high.open)


def _holds(entry: Entry, asked: Words) -> bool:
    *whole, last = asked.words
    there = entry.text.split(" ")
    for start in range(len(there) - len(whole)):
        end = start + len(whole)
        if there[start:end] == whole and (there[end].startswith(last) if asked.prefix else there[end] == last):
            return True
    return False


def _position(entry: Entry) -> int:
    [position] = entry.values["position"]
    return int(position)


def _sort_value(entry: Entry, request: Request) -> Value | None:
    if request.sort is None:
        return sum(_holds(entry, asked) for asked in asked_words(request.asked))
    values = entry.values.get(request.sort, ())
    return (max if request.descending else min)(values, default=None)


def _rank(request: Request, value: Value | None, at: Entry | int) -> tuple[bool, Any, int]:
    """What ascends down the list: documents with a value first, then by it, then by newest position."""
    position = at if isinstance(at, int) else _position(at)
    return value is None, _Reversed(value) if request.descending else value, -position


class _Reversed:
    """Orders the other way round."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __lt__(self, other: "_Reversed") -> bool:
        return bool(other.value < self.value)


def _aggregate(name: str, found: list[Entry], agg: Aggregation, fields: Mapping[str, FieldType]) -> dict[str, Any]:
    if agg.kind == "stats":
        return _stats(value for entry in found for value in entry.values.get(agg.field, ()))
    keyed: dict[Any, list[Entry]] = {}
    for entry in found:
        for key in {_key(value, agg) for value in entry.values.get(agg.field, ())}:
            keyed.setdefault(key, []).append(entry)
    if agg.kind == "terms":
        counts = Counter({key: len(entries) for key, entries in keyed.items()})
        keys = sorted(counts, key=lambda key: (-counts[key], key))[: agg.size]
    else:
        keys = sorted(keyed)
        if len(keys) > MAX_BUCKETS:
            raise too_many_buckets(name)
    return {
        "buckets": [
            {
                "key": shown(key, fields[agg.field]),
                "count": len(keyed[key]),
                **(
                    {"stats": _aggregate(name, keyed[key], Aggregation(kind="stats", field=agg.stats), fields)}
                    if agg.stats
                    else {}
                ),
            }
            for key in keys
        ]
    }


def _key(value: Any, agg: Aggregation) -> Any:
    """The value, or where its interval begins."""
    if agg.kind == "terms":
        return value
    start = read_time(time_text(value)).replace(second=0, microsecond=0)
    match agg.interval:
        case "hour":
            start = start.replace(minute=0)
        case "day":
            start = start.replace(hour=0, minute=0)
        case "week":
            start = start.replace(hour=0, minute=0) - timedelta(days=start.weekday())
        case "month":
            start = start.replace(day=1, hour=0, minute=0)
    return milliseconds(start)


def _stats(values: Iterable[Any]) -> dict[str, Any]:
    numbers = [float(value) for value in values]
    count, total = len(numbers), sum(numbers)
    return {
        "count": count,
        "min": min(numbers, default=None),
        "max": max(numbers, default=None),
        "avg": total / count if count else None,
        "sum": total,
    }
