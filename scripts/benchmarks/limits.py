"""Limits: what the servers do with the same rows and documents when nothing of ours is in between."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Any

import psycopg
from elasticsearch import Elasticsearch

from application.subscription import Selection
from application.use_cases.results import documents_of
from domain.events import NewEvent
from infrastructure.elasticsearch.bulk import _batches
from infrastructure.elasticsearch.search_index import ElasticsearchSearchIndex
from infrastructure.search.entries import Entry, entries_of
from infrastructure.search.values import merged
from scripts.benchmarks import flights
from scripts.benchmarks.figures import Figures
from scripts.benchmarks.stores import opened

BULK, CONNECTIONS = 500, 2
_COLUMNS = (
    "position", "id", "type", "source", "subject", "time", "recorded_at", "route", "lane", "data", "schema_version",
    "depth", "direct",
)  # fmt: skip


def copy(months: int) -> Figures:
    """COPY of the same events into a table with the columns and indexes of `events`, 500 a commit, one connection."""
    batches = list(flights.new_events(months))
    with ExitStack() as stack:
        store = opened("postgres", stack).store()
        url = store.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        connection = stack.enter_context(psycopg.connect(url, autocommit=True))
        connection.execute("CREATE TABLE copied (LIKE events INCLUDING ALL)")
        began, position = time.perf_counter(), 0
        for batch in batches:
            with connection.cursor().copy(f"COPY copied ({', '.join(_COLUMNS)}) FROM STDIN") as rows:
                for event in batch:
                    position += 1
                    rows.write_row(_row(event, position))
        return {"events/s": position / (time.perf_counter() - began)}


def _row(event: NewEvent, position: int) -> tuple[Any, ...]:
    return (
        position, event.id, event.type, event.source, event.subject, event.time, event.time, event.route, event.lane,
        event.data, event.schema_version, event.depth, False,
    )  # fmt: skip


def bulk(container: Any) -> Figures:
    """Raw `_bulk` of the documents that a store's contexts declare: 500 a request, two connections, a new index."""
    fields, alias = container.fields(), f"bench-raw-{time.time_ns()}"
    client = Elasticsearch(os.environ["TEST_ELASTICSEARCH_URL"])
    index = ElasticsearchSearchIndex(client, alias=alias)
    index.open(fields)
    bodies = [lines for batch in _entries(container, fields) for _, lines in _batches(batch)]
    waiting, lock = iter(bodies), threading.Lock()

    def send() -> None:
        while True:
            with lock:
                body = next(waiting, None)
            if body is None:
                return
            answer = client.options(request_timeout=60).bulk(index=alias, operations=body, filter_path=["errors"])
            assert not answer["errors"]

    began = time.perf_counter()
    threads = [threading.Thread(target=send) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    for made in index.indices():
        client.indices.delete(index=made.name)
    client.close()
    return {"documents/s": sum(len(body) // 2 for body in bodies) / seconds}


def _entries(container: Any, fields: Any) -> Iterator[Sequence[Entry]]:
    rows = container.contexts().read(Selection(where={"generation": 0}), limit=10_000_000)
    documents = [document for row in rows for document in documents_of(row, {0: 0})]
    entries, rejected = entries_of(documents, merged({}, fields))
    assert not rejected
    remaining = iter(entries)
    while some := list(islice(remaining, BULK)):
        yield some
