"""ElasticsearchSearchIndex: the search index in Elasticsearch, behind an alias."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

from elasticsearch import BadRequestError, Elasticsearch, NotFoundError
from msgspec import structs

from application.ports.search_index import (
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
from domain.errors import InvalidQuery
from infrastructure.elasticsearch import indices
from infrastructure.elasticsearch.bulk import write
from infrastructure.elasticsearch.client import connect, reaching, reason
from infrastructure.elasticsearch.query_dsl import read_aggregations, search_body
from infrastructure.search.entries import entries_of, stored_documents
from infrastructure.search.labels import members_of
from infrastructure.search.request import read_request

_PAGE = 1_000


class ElasticsearchSearchIndex:
    """A SearchIndex whose indices are `<alias>-<number>`; the one behind `alias` serves.

    It remembers nothing between calls, so any number of threads and processes may use one alias. Documents are
    written through an alias or not at all: an index that vanished is not made again by a write.
    """

    backend = "elasticsearch"

    def __init__(self, client: Elasticsearch, *, alias: str = "playhead", shards: int = 1) -> None:
        """Indices that are made from now on have so many primary `shards`."""
        self._client = client
        self._alias = alias
        self._shards = shards

    @classmethod
    def at(cls, url: str, *, alias: str = "playhead", shards: int = 1) -> Self:
        """The index on the server at this URL; nothing is sent yet."""
        return cls(connect(url), alias=alias, shards=shards)

    def open(self, fields: Mapping[str, FieldType], *, anew: Callable[[], None] = lambda: None) -> None:
        with reaching(self._alias):
            indices.make_or_extend(self._client, self._alias, fields, anew, shards=self._shards)
            if indices.holds_nothing(self._client, self._alias):
                anew()

    def indices(self) -> Sequence[Index]:
        with reaching(self._alias):
            return indices.list_indices(self._client, self._alias)

    def make(self, fields: Mapping[str, FieldType], label: Label) -> Index:
        with reaching(self._alias):
            return indices.make_beside(self._client, self._alias, fields, label, shards=self._shards)

    def serve(self, index: Index) -> None:
        with reaching(self._alias):
            indices.serve(self._client, self._alias, index)

    def drop(self, index: Index) -> None:
        with reaching(self._alias):
            found = {each.key: each for each in indices.list_indices(self._client, self._alias)}.get(index.key)
            if found is not None and not found.serves:
                self._client.indices.delete(index=found.name, ignore_unavailable=True)

    def label(self, label: Label, index: Index | None = None) -> None:
        with reaching(self._alias):
            self._client.indices.put_mapping(index=self._target(index), meta=members_of(label))

    def put(self, documents: Sequence[SearchDocument], index: Index | None = None) -> list[Rejection]:
        target = self._target(index)
        with reaching(self._alias):
            fields = index.fields if index else None
            if fields is None:
                _, fields, _ = indices.fields_and_label(self._client, target)
            entries, rejections = entries_of(documents, fields)
            refused = write(self._client, target, entries)
            if refused:
                envelopes = [
                    structs.replace(document, document={})
                    for document in documents
                    if document.envelope["event_id"] in refused
                ]
                write(self._client, target, entries_of(envelopes, fields)[0])
        return rejections + [Rejection(event_id, why) for event_id, why in refused.items()]

    def search(self, query: SearchQuery) -> SearchAnswer:
        with reaching(self._alias):
            try:
                return self._search(query)
            except NotFoundError:
                # The index that the alias led to was dropped meanwhile: ask the one that it leads to now.
                return self._search(query)

    def _search(self, query: SearchQuery) -> SearchAnswer:
        # By its name: the alias may lead elsewhere meanwhile, and an answer is from one index.
        name, fields, label = indices.fields_and_label(self._client, self._alias)
        request = read_request(query, fields, self.backend)
        try:
            answer = self._client.search(index=name, allow_partial_search_results=False, **search_body(request, fields))
        except BadRequestError as error:
            raise InvalidQuery(f"Elasticsearch refuses the query: {reason(error)}.") from error
        hits = answer["hits"]["hits"]
        cursor = request.cursor(*hits[request.size - 1]["sort"]) if len(hits) > request.size > 0 else None
        return SearchAnswer(
            hits=[hit["_source"] for hit in hits[: request.size]],
            total=answer["hits"]["total"]["value"],
            aggs=read_aggregations(request, answer.get("aggregations", {}), fields),
            cursor=cursor,
            label=label,
        )

    def state(self, index: Index | None = None) -> IndexState:
        """Only documents that can be found are counted; see the port."""
        with reaching(self._alias):
            name, _, label = indices.fields_and_label(self._client, self._target(index))
            highest = {"version": {"max": {"field": "_version"}}}
            by_generation = {"generations": {"terms": {"field": "generation", "size": 10_000}, "aggs": highest}}
            found = self._client.search(index=name, size=0, track_total_hits=True, aggs=by_generation)
        versions = [int(bucket["version"]["value"]) for bucket in found["aggregations"]["generations"]["buckets"]]
        # The versions of one generation have one rank, so that the highest is that of the highest context.
        context = max(map(context_of, versions), default=0)
        return IndexState(name=name, documents=found["hits"]["total"]["value"], label=label, context=context)

    def expected(self, documents: Sequence[SearchDocument], index: Index) -> Sequence[StoredDocument]:
        with reaching(self._alias):
            _, fields, _ = indices.fields_and_label(self._client, index.key)
        return stored_documents(entries_of(documents, fields)[0])

    def documents(self, index: Index, *, after: int | None, last: int | None) -> Iterator[StoredDocument]:
        outside: list[dict[str, Any]] = []
        if last is not None:
            outside.append({"range": {"position": {"gt": last}}})
        if after is not None:
            outside += [
                {"range": {"position": {"lte": after}}},
                {"bool": {"must_not": {"exists": {"field": "position"}}}},
            ]
        with reaching(self._alias):
            pit = self._client.open_point_in_time(index=index.key, keep_alive="1m")["id"]
            try:
                page: dict[str, Any] = {}
                while True:
                    answer = self._client.search(
                        pit={"id": pit, "keep_alive": "1m"},
                        query={"bool": {"must_not": outside}},
                        sort=["_shard_doc"],
                        size=_PAGE,
                        version=True,
                        track_total_hits=False,
                        **page,
                    )
                    hits = answer["hits"]["hits"]
                    for hit in hits:
                        yield StoredDocument(event_id=hit["_id"], version=hit["_version"], hit=hit["_source"])
                    if len(hits) < _PAGE:
                        return
                    page = {"search_after": hits[-1]["sort"]}
            finally:
                self._client.close_point_in_time(id=pit)

    def _target(self, index: Index | None) -> str:
        return self._alias if index is None else index.key
