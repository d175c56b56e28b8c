"""Entries: documents judged against the index's fields, as every keeper stores them."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from msgspec import Struct

from application.ports.search_index import ENVELOPE, FieldType, Rejection, SearchDocument, StoredDocument
from infrastructure.search.conditions import Value
from infrastructure.search.values import canonical, milliseconds, read_time, read_value
from infrastructure.search.words import indexed_text

MAX_KEYWORD = 8191
"""A longer string (in UTF-16 units) has its words in the text, but no exact value; see `ignore_above`."""


class Entry(Struct, frozen=True):
    """A document ready to be kept.

    `hit` is what answers show of it, `values` what each field is compared by, `text` its words.
    """

    event_id: str
    version: int
    hit: Mapping[str, Any]
    values: Mapping[str, tuple[Value, ...]]
    text: str


def entries_of(
    documents: Iterable[SearchDocument], fields: Mapping[str, FieldType]
) -> tuple[list[Entry], list[Rejection]]:
    """The newest entry of each event, and what is rejected of them: such a document is reduced to its envelope."""
    newest: dict[str, SearchDocument] = {}
    for document in documents:
        event_id = document.envelope["event_id"]
        if document.version >= newest.setdefault(event_id, document).version:
            newest[event_id] = document
    entries, rejections = [], []
    for event_id, document in newest.items():
        try:
            entries.append(_entry(document, document.document, fields))
        except ValueError as error:
            entries.append(reduced(document, fields))
            rejections.append(Rejection(event_id, str(error)))
    return entries, rejections


def stored_documents(entries: Iterable[Entry]) -> list[StoredDocument]:
    """What an index has of entries."""
    return [StoredDocument(event_id=entry.event_id, version=entry.version, hit=entry.hit) for entry in entries]


def reduced(document: SearchDocument, fields: Mapping[str, FieldType]) -> Entry:
    """The entry of a document's envelope alone."""
    return _entry(document, {}, fields)


def _entry(document: SearchDocument, own: Mapping[str, Any], fields: Mapping[str, FieldType]) -> Entry:
    hit: dict[str, Any] = {**own, **document.envelope}
    values: dict[str, tuple[Value, ...]] = {}
    strings: list[str] = []
    for name, value in hit.items():
        type_ = fields.get(name)
        if type_ is None or value is None:
            continue
        kind = type(value)
        # Most values are compared as they stand; what follows would say the same, and take five times as long.
        if (
            (kind is str and type_ == "keyword" and len(value) <= MAX_KEYWORD // 2)
            or (kind is float and type_ == "double" and isfinite(value))
            or (kind is int and type_ == "long" and -(2**63) <= value < 2**63)
        ):
            values[name] = (value,)
            if kind is str and name not in ENVELOPE:
                strings.append(value)
            continue
        items = [item for item in value if item is not None] if isinstance(value, list) else [value]
        try:
            if type_ == "date":
                times = [read_time(item) for item in items]
                texts = [canonical(item, time) for item, time in zip(items, times, strict=True)]
                hit[name] = texts if isinstance(value, list) else texts[0]
                read: list[Value] = [milliseconds(time) for time in times]
            else:
                read = _read(items, type_)
        except ValueError as error:
            raise ValueError(f"field {name!r} {error}") from error
        if type_ == "keyword" and name not in ENVELOPE:
            strings.extend(items)
        if read:
            values[name] = tuple(read)
    return Entry(document.envelope["event_id"], document.version, hit, values, indexed_text(strings))


def _read(items: Iterable[Any], type_: FieldType) -> list[Value]:
    read = [read_value(item, type_) for item in items]
    return [item for item in read if not _is_long(str(item))] if type_ == "keyword" else read


def _is_long(text: str) -> bool:
    return len(text) > MAX_KEYWORD // 2 and len(text.encode("utf-16-le")) // 2 > MAX_KEYWORD
