"""Entries: documents judged against the index's fields, as every keeper stores them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from application.ports.search_index import ENVELOPE, FieldType, Rejection, SearchDocument, StoredDocument
from infrastructure.search.conditions import Value
from infrastructure.search.values import milliseconds, read_time, read_value, time_text
from infrastructure.search.words import indexed_text

MAX_KEYWORD = 8191
"""A longer string (in UTF-16 units) has its words in the text, but no exact value; see `ignore_above`."""


@dataclass(frozen=True, slots=True)
class Entry:
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
        kept = newest.setdefault(document.envelope["event_id"], document)
        if document.version >= kept.version:
            newest[document.envelope["event_id"]] = document
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
        if _is_plain(value, type_):  # most values; what follows would say the same, and take five times as long
            values[name] = (value,)
            if type_ == "keyword" and name not in ENVELOPE:
                strings.append(value)
            continue
        items = [item for item in value if item is not None] if isinstance(value, list) else [value]
        try:
            if type_ == "date":
                times = [read_time(item) for item in items]
                texts = [time_text(time) for time in times]
                hit[name] = texts if isinstance(value, list) else texts[0]
                read: list[Value] = [milliseconds(time) for time in times]
            else:
                read = [read_value(item, type_) for item in items]
        except ValueError as error:
            raise ValueError(f"field {name!r} {error}") from error
        if type_ == "keyword":
            if name not in ENVELOPE:
                strings.extend(items)
            read = [item for item in read if not _is_long(str(item))]
        if read:
            values[name] = tuple(read)
    return Entry(document.envelope["event_id"], document.version, hit, values, indexed_text(strings))


def _is_plain(value: Any, type_: FieldType) -> bool:
    """Whether a value is one that its field compares as it stands."""
    match type_:
        case "keyword":
            return type(value) is str and len(value) <= MAX_KEYWORD // 2
        case "double":
            return type(value) is float and isfinite(value)
        case "long":
            return type(value) is int and -(2**63) <= value < 2**63
    return False


def _is_long(text: str) -> bool:
    return len(text) > MAX_KEYWORD // 2 and len(text.encode("utf-16-le")) // 2 > MAX_KEYWORD
