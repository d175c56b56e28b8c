"""MemorySearchIndex: the plain meaning of every query, evaluated document by document."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import RLock
from typing import Any

from application.ports.search_index import (
    ENVELOPE,
    Aggregation,
    FieldType,
    Index,
    IndexState,
    Label,
    Rejection,
    SearchAnswer,
    SearchDocument,
    SearchQuery,
    StoredDocument,
    context_of,
)
from domain.errors import Unavailable
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
from infrastructure.search.entries import Entry, entries_of, stored_documents
from infrastructure.search.request import MAX_BUCKETS, Request, read_request, too_many_buckets
from infrastructure.search.values import merged, milliseconds, read_time, shown, time_text


@dataclass(kw_only=True)
class _Kept:
    """What one index has."""

    index: Index
    fields: dict[str, FieldType]
    entries: dict[str, Entry] = field(default_factory=dict)


class MemorySearchIndex:
    """A SearchIndex in this process, for tests."""

    backend = "memory"

    def __init__(self) -> None:
        self._lock = RLock()
        self._made = 0
        self._kept: dict[str, _Kept] = {}
        self._make({}, None, serves=True)

    def open(self, fields: Mapping[str, FieldType], *, anew: Callable[[], None] = lambda: None) -> None:
        serving = next((kept for kept in self._kept.values() if kept.index.serves), None)
        if serving is None or not serving.entries:
            anew()
        with self._lock:
            if not any(kept.index.serves for kept in self._kept.values()):
                self._make(fields, None, serves=True)
            for kept in self._kept.values():
                kept.fields = merged(kept.fields, fields)

    def indices(self) -> Sequence[Index]:
        with self._lock:
            return [kept.index for kept in self._kept.values()]

    def make(self, fields: Mapping[str, FieldType], label: Label) -> Index:
        with self._lock:
            return self._make(fields, label, serves=False)

    def _make(self, fields: Mapping[str, FieldType], label: Label | None, *, serves: bool) -> Index:
        self._made += 1
        key = f"memory-{self._made}"
        self._kept[key] = _Kept(
            index=Index(name=key, key=key, serves=serves, label=label), fields=merged(dict(ENVELOPE), fields)
        )
        return self._kept[key].index

    def serve(self, index: Index) -> None:
        with self._lock:
            chosen = self._of(index)
            for kept in self._kept.values():
                kept.index = replace(kept.index, serves=kept is chosen)

    def drop(self, index: Index) -> None:
        with self._lock:
            kept = self._kept.get(index.key)
            if kept is not None and not kept.index.serves:
                del self._kept[index.key]

    def label(self, label: Label, index: Index | None = None) -> None:
        with self._lock:
            kept = self._of(index)
            kept.index = replace(kept.index, label=label)

    def _of(self, index: Index | None) -> _Kept:
        for kept in self._kept.values():
            if kept.index.serves if index is None else kept.index.key == index.key:
                return kept
        raise Unavailable("The index is not there.")

    def put(self, documents: Sequence[SearchDocument], index: Index | None = None) -> list[Rejection]:
        with self._lock:
            kept = self._of(index)
            entries, rejections = entries_of(documents, kept.fields)
            for entry in entries:
                present = kept.entries.setdefault(entry.event_id, entry)
                if entry.version >= present.version:
                    kept.entries[entry.event_id] = entry
        return rejections

    def search(self, query: SearchQuery) -> SearchAnswer:
        with self._lock:
            kept = self._of(None)
            fields, entries, label = dict(kept.fields), list(kept.entries.values()), kept.index.label
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
            label=label,
        )

    def state(self, index: Index | None = None) -> IndexState:
        with self._lock:
            kept = self._of(index)
            context = max((context_of(entry.version) for entry in kept.entries.values()), default=0)
            return IndexState(
                name=kept.index.name, documents=len(kept.entries), label=kept.index.label, context=context
            )

    def expected(self, documents: Sequence[SearchDocument], index: Index) -> Sequence[StoredDocument]:
        with self._lock:
            return stored_documents(entries_of(documents, self._of(index).fields)[0])

    def documents(self, index: Index, *, after: int | None, last: int | None) -> Iterator[StoredDocument]:
        with self._lock:
            entries = list(self._of(index).entries.values())
        within = [
            entry
            for entry in entries
            if (after is None or _position(entry) > after) and (last is None or _position(entry) <= last)
        ]
        yield from stored_documents(within)


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
