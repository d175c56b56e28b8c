"""ElasticsearchSearchIndex: the search index in Elasticsearch, behind an alias."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from elasticsearch import BadRequestError, Elasticsearch

from application.ports.search_index import (
    FieldType,
    IndexState,
    Rejection,
    SearchAnswer,
    SearchDocument,
    SearchQuery,
)
from domain.errors import InvalidQuery
from infrastructure.elasticsearch import indices
from infrastructure.elasticsearch.bulk import write
from infrastructure.elasticsearch.client import connect, reaching, reason
from infrastructure.elasticsearch.query_dsl import read_aggregations, search_body
from infrastructure.search.entries import entries_of
from infrastructure.search.request import read_request


class ElasticsearchSearchIndex:
    """A SearchIndex whose documents are in the index behind `alias`; that index is `<alias>-<number>`.

    It remembers nothing between calls, so any number of threads and processes may use one alias. Documents are
    written through the alias or not at all: an index that vanished is not made again by a write.
    """

    backend = "elasticsearch"

    def __init__(self, client: Elasticsearch, *, alias: str = "playhead") -> None:
        self._client = client
        self._alias = alias

    @classmethod
    def at(cls, url: str, *, alias: str = "playhead") -> Self:
        """The index on the server at this URL; nothing is sent yet."""
        return cls(connect(url), alias=alias)

    def open(self, fields: Mapping[str, FieldType], *, anew: Callable[[], None] = lambda: None) -> None:
        with reaching(self._alias):
            indices.make_or_extend(self._client, self._alias, fields, anew)
            if indices.holds_nothing(self._client, self._alias):
                anew()

    def put(self, documents: Sequence[SearchDocument]) -> list[Rejection]:
        with reaching(self._alias):
            fields = indices.fields_behind(self._client, self._alias)
            entries, rejections = entries_of(documents, fields)
            refused = write(self._client, self._alias, entries)
            if refused:
                envelopes = [
                    dataclasses.replace(document, document={})
                    for document in documents
                    if document.envelope["event_id"] in refused
                ]
                write(self._client, self._alias, entries_of(envelopes, fields)[0])
        return rejections + [Rejection(event_id, why) for event_id, why in refused.items()]

    def search(self, query: SearchQuery) -> SearchAnswer:
        with reaching(self._alias):
            fields, log_id = indices.shown_behind(self._client, self._alias)
            request = read_request(query, fields, self.backend)
            try:
                answer = self._client.search(
                    index=self._alias, allow_partial_search_results=False, **search_body(request, fields)
                )
            except BadRequestError as error:
                raise InvalidQuery(f"Elasticsearch refuses the query: {reason(error)}.") from error
        hits = answer["hits"]["hits"]
        cursor = request.cursor(*hits[request.size - 1]["sort"]) if len(hits) > request.size > 0 else None
        return SearchAnswer(
            hits=[hit["_source"] for hit in hits[: request.size]],
            total=answer["hits"]["total"]["value"],
            aggs=read_aggregations(request, answer.get("aggregations", {}), fields),
            cursor=cursor,
            log_id=log_id,
        )

    def start_anew(self, fields: Mapping[str, FieldType]) -> None:
        """Until the new index is there, the old one answers; see the port."""
        with reaching(self._alias):
            indices.replace(self._client, self._alias, fields)

    def label(self, log_id: str) -> None:
        with reaching(self._alias):
            self._client.indices.put_mapping(index=self._alias, meta={"log_id": log_id})

    def state(self) -> IndexState:
        """Only documents that can be found are counted; see the port."""
        with reaching(self._alias):
            [name] = self._client.indices.get_alias(name=self._alias)
            _, log_id = indices.shown_behind(self._client, self._alias)
            highest = {"version": {"max": {"field": "_version"}}}
            found = self._client.search(index=self._alias, size=0, track_total_hits=True, aggs=highest)
        version = found["aggregations"]["version"]["value"]
        return IndexState(
            name=name, documents=found["hits"]["total"]["value"], log_id=log_id, version=int(version or 0)
        )
