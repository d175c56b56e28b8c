"""Keepers of the search index for tests, and the documents that they are asked about."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from application.ports.search_index import FieldType, SearchDocument, SearchIndex, SearchQuery
from infrastructure.elasticsearch.client import connect
from infrastructure.elasticsearch.search_index import ElasticsearchSearchIndex
from infrastructure.embedded.search_index import Fts5SearchIndex
from infrastructure.memory.search_index import MemorySearchIndex

KEEPERS = ["memory", "fts5", pytest.param("elasticsearch", marks=pytest.mark.elasticsearch)]

FIELDS: dict[str, FieldType] = {
    "carrier": "keyword",
    "status": "keyword",
    "remark": "keyword",
    "gate": "keyword",
    "tags": "keyword",
    "stops": "long",
    "arr_delay": "double",
    "cargo": "boolean",
    "departed": "date",
}


class _Refreshed(ElasticsearchSearchIndex):
    """Shows at once what was put, where the real one does within a second."""

    def put(self, documents, index=None):
        rejections = super().put(documents, index)
        self._client.indices.refresh(index=self._alias if index is None else index.key)
        return rejections


Open = Callable[[], SearchIndex]
"""Makes another keeper of the same index, as another process would have it."""


def elasticsearch_url() -> str:
    """The server for tests; without one the test is skipped, or fails where services are required."""
    url = os.environ.get("TEST_ELASTICSEARCH_URL", "")
    if not url:
        missing = pytest.fail if os.environ.get("PLAYHEAD_REQUIRE_SERVICES") == "1" else pytest.skip
        missing("no Elasticsearch: TEST_ELASTICSEARCH_URL is not set")
    return url


@contextmanager
def keepers(kind: str, folder: Path) -> Iterator[Open]:
    if kind == "memory":
        one = MemorySearchIndex()
        yield lambda: one
    elif kind == "fts5":
        made: list[Fts5SearchIndex] = []

        def make() -> Fts5SearchIndex:
            made.append(Fts5SearchIndex(folder / "search.db"))
            return made[-1]

        yield make
        for keeper in made:
            keeper.close()
    else:
        client, alias = connect(elasticsearch_url()), f"test-{uuid4().hex}"
        yield lambda: _Refreshed(client, alias=alias)
        client.indices.delete(index=[*client.indices.get(index=f"{alias}*")] or "none", ignore_unavailable=True)
        client.close()


def document(position: int, /, *, version: int | None = None, **own: Any) -> SearchDocument:
    """The document of the event at this position; its own fields are those given."""
    envelope: dict[str, Any] = {
        "event_id": event_id(position),
        "position": position,
        "type": "flight.recorded",
        "source": "nyc",
        "subject": f"flight {position}",
        "time": f"2013-01-{position:02}T10:00:00Z",
        "pipeline": "flights",
        "generation": 0,
    }
    for name in envelope.keys() & own.keys():
        envelope[name] = own.pop(name)
    return SearchDocument(version=version or position, envelope=envelope, document=own)


def event_id(position: int) -> str:
    return f"01940000-0000-7000-8000-{position:012}"


LIBRARY = [
    document(1, carrier="UA", status="on_time", arr_delay=-5.0, stops=0, cargo=False, tags=["early", "day"]),
    document(2, carrier="UA", status="late", arr_delay=15.5, stops=1, cargo=True, remark="Snow over O'Hare, again"),
    document(3, carrier="AA", status="late", arr_delay=200, stops=2, tags=["night"], remark="snow, then rain"),
    document(4, carrier="ua", status="cancelled", remark="Rain over 3.14 miles", tags=[], cargo=None),
    document(5, carrier="B6", status="on_time", arr_delay=0.0, stops=1, departed="2013-01-05T23:59:59.999Z"),
    document(6, carrier="B6", status="diverted", departed="2013-01-06", remark="Größe 東京 on_time snowfall"),
    document(
        7, subject="a:b (c)", departed="2013-01-07T01:00:00.123456+02:00", remark='said "no" 50% *off*', gate="[B]"
    ),
    document(8, type="flight.very_late", time="1969-12-31T23:59:59Z", arr_delay=200.0, tags=["day", "day", "night"]),
]


def found(index: SearchIndex, q: str = "", **rest: Any) -> list[int]:
    """The positions of what a query finds, in order."""
    answer = index.search(SearchQuery(q=q, size=1000, **rest))
    assert answer.total == len(answer.hits)
    return [hit["position"] for hit in answer.hits]
