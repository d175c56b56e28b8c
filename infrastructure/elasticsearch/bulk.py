"""Bulk writes: every document judged by itself."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from elasticsearch import Elasticsearch
from pydantic_core import to_json

from domain.errors import Unavailable
from infrastructure.search.entries import Entry
from infrastructure.search.values import TEXT

_BYTES = 8 << 20
_DOCUMENTS = 1_000
PAUSES = (0.1, 0.4, 1.0)
"""Seconds before each further try of the documents that the server had no room for."""
_NEWER = 409
_NO_ROOM = 429
_REFUSED = frozenset({400, 413})


def write(
    client: Elasticsearch, alias: str, entries: Sequence[Entry], *, pauses: Sequence[float] = PAUSES
) -> dict[str, str]:
    """Write entries, newer ones staying as they are; answers why the server refused some, by event id.

    Raises:
        Unavailable: the server had no room for some of them, or the alias leads nowhere.
    """
    refused: dict[str, str] = {}
    for pause in (*pauses, None):
        waiting: list[Entry] = []
        problem = ""
        for entry, item in _judged(client, alias, entries):
            status = item["status"]
            if status < 300 or status == _NEWER:
                continue
            problem = item["error"]["reason"]
            if status in _REFUSED:
                refused[entry.event_id] = problem
            elif status == _NO_ROOM or status >= 500:
                waiting.append(entry)
            else:
                raise Unavailable(f"Elasticsearch takes no documents ({status}): {problem}.")
        if not waiting:
            break
        if pause is None:
            raise Unavailable(f"Elasticsearch has no room for {len(waiting)} documents: {problem}.")
        time.sleep(pause)
        entries = waiting
    return refused


def _judged(client: Elasticsearch, alias: str, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Any]]:
    for batch, operations in _batches(entries):
        answer = client.bulk(
            index=alias,
            operations=operations,  # type: ignore[arg-type]  # lines of JSON are sent as they are
            require_alias=True,
            filter_path=["items.index.status", "items.index.error.reason"],
        )
        yield from zip(batch, (item["index"] for item in answer["items"]), strict=True)


def _batches(entries: Sequence[Entry]) -> Iterator[tuple[list[Entry], list[bytes]]]:
    """Entries with their lines, a request's worth at a time."""
    batch: list[Entry] = []
    lines: list[bytes] = []
    size = 0
    for entry in entries:
        source = to_json({**entry.hit, TEXT: entry.text})
        if batch and (size + len(source) > _BYTES or len(batch) == _DOCUMENTS):
            yield batch, lines
            batch, lines, size = [], [], 0
        batch.append(entry)
        lines += (
            to_json({"index": {"_id": entry.event_id, "version": entry.version, "version_type": "external_gte"}}),
            source,
        )
        size += len(source)
    if batch:
        yield batch, lines
