"""ElasticsearchSearchIndex: the search index in Elasticsearch, behind an alias."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from elasticsearch import ApiError, Elasticsearch, NotFoundError, TransportError
from pydantic_core import to_json

from application.ports.search_index import (
    FieldType,
    IndexState,
    Rejection,
    SearchAnswer,
    SearchDocument,
    SearchQuery,
)
from domain.errors import InvalidQuery, Misconfigured, Unavailable
from infrastructure.elasticsearch.query_dsl import read_aggregations, search_body
from infrastructure.search.entries import MAX_KEYWORD, Entry, entries_of, reduced
from infrastructure.search.request import read_request
from infrastructure.search.values import TEXT, merged

_SETTINGS = {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "1s"}
_ATTEMPTS = 5
"""How often two processes may get in each other's way while they make an index."""
_PAUSES = (0.1, 0.4, 1.0)
"""Seconds before each further try of documents that the server had no room for."""
_BULK_BYTES = 8 << 20
_BULK_DOCUMENTS = 1_000


class ElasticsearchSearchIndex:
    """A SearchIndex whose documents are in the index behind `alias`; that index is `<alias>-<number>`.

    It keeps nothing between calls, so any number of threads and processes may use one alias. Documents are
    written through the alias or not at all: an index that vanished is never made again by a write.
    """

    backend = "elasticsearch"

    def __init__(self, client: Elasticsearch, *, alias: str = "playhead") -> None:
        self._client = client
        self._alias = alias
        self._name = re.compile(rf"{re.escape(alias)}-(\d{{6}})")

    def open(self, fields: Mapping[str, FieldType]) -> None:
        """See the port."""
        with _reaching():
            for _ in range(_ATTEMPTS):
                # The numbers are read before the alias: an index made meanwhile takes the number, or shows the alias.
                names = self._numbered()
                try:
                    present = self._fields()
                except NotFoundError:
                    if self._create(names, fields, aliased=True):
                        return
                else:
                    added = {name: type_ for name, type_ in merged(present, fields).items() if name not in present}
                    if added:
                        self._client.indices.put_mapping(index=self._alias, properties=_properties(added))
                    return
        raise Unavailable(f"Another process keeps making the search index {self._alias!r}.")

    def put(self, documents: Sequence[SearchDocument]) -> list[Rejection]:
        """See the port."""
        with _reaching():
            fields = self._fields()
            entries, rejections = entries_of(documents, fields)
            reasons = self._keep(entries)
            if reasons:
                refused = [document for document in documents if document.envelope["event_id"] in reasons]
                entries, _ = entries_of([replace(document, document={}) for document in refused], fields)
                self._keep(entries)
        return rejections + [Rejection(event_id, reason) for event_id, reason in reasons.items()]

    def search(self, query: SearchQuery) -> SearchAnswer:
        """See the port."""
        with _reaching():
            fields = self._fields()
            request = read_request(query, fields, self.backend)
            body = search_body(request, fields)
            try:
                answer = self._client.search(index=self._alias, allow_partial_search_results=False, **body)
            except BadRequestError as error:
                raise InvalidQuery(f"Elasticsearch refuses the query: {_reason(error)}") from error
        hits = answer["hits"]["hits"]
        cursor = request.cursor(*hits[request.size - 1]["sort"]) if len(hits) > request.size > 0 else None
        return SearchAnswer(
            hits=[hit["_source"] for hit in hits[: request.size]],
            total=answer["hits"]["total"]["value"],
            aggs=read_aggregations(request, answer.get("aggregations", {}), fields),
            cursor=cursor,
        )

    def start_anew(self, fields: Mapping[str, FieldType]) -> None:
        """See the port. Until the new index is there the old one answers."""
        with _reaching():
            for _ in range(_ATTEMPTS):
                names = self._numbered()
                aliased = not self._client.indices.exists_alias(name=self._alias)
                made = self._create(names, fields, aliased=aliased)
                if made and (aliased or self._swap(names, made)):
                    return
        raise Unavailable(f"Another process keeps making the search index {self._alias!r}.")

    def state(self) -> IndexState:
        """See the port."""
        with _reaching():
            [name] = self._client.indices.get_alias(name=self._alias)
            return IndexState(name=name, documents=self._client.count(index=self._alias)["count"])

    def _numbered(self) -> list[str]:
        """The indices that bear our name, whether the alias points to them or not."""
        found = self._client.indices.get(index=f"{self._alias}-*", features=["aliases"])
        return sorted(name for name in found if self._name.fullmatch(name))

    def _create(self, names: Sequence[str], fields: Mapping[str, FieldType], *, aliased: bool) -> str | None:
        """Make the index of the next number, and give its name, unless another process has just made it."""
        number = 1 + max((int(name[-6:]) for name in names), default=0)
        made = f"{self._alias}-{number:06}"
        try:
            self._client.indices.create(
                index=made,
                aliases={self._alias: {}} if aliased else {},
                settings=_SETTINGS,
                mappings={
                    "dynamic": False,
                    # The words can be searched, and are not worth keeping twice.
                    "_source": {"excludes": [TEXT]},
                    "properties": {**_properties(merged({}, fields)), TEXT: _WORDS},
                },
            )
        except BadRequestError as error:
            if error.error == "resource_already_exists_exception":
                return None
            raise Misconfigured(f"The search index {made!r} cannot be made: {_reason(error)}") from error
        return made

    def _swap(self, old: Sequence[str], new: str) -> bool:
        """Point the alias to the new index and delete the old ones in one step; False when they are not there."""
        removed = [{"remove_index": {"index": name}} for name in old]
        try:
            self._client.indices.update_aliases(actions=[{"add": {"index": new, "alias": self._alias}}, *removed])
        except NotFoundError:
            self._client.indices.delete(index=new, ignore_unavailable=True)
            return False
        return True

    def _fields(self) -> dict[str, FieldType]:
        [mapping] = self._client.indices.get_mapping(index=self._alias).values()
        properties = mapping["mappings"].get("properties", {})
        return {name: known["type"] for name, known in properties.items() if known.get("type") in _TYPES}

    def _keep(self, entries: Sequence[Entry]) -> dict[str, str]:
        """Write entries and say why some were refused, by event id.

        Raises:
            Unavailable: the server had no room for some of them, again and again.
        """
        refused: dict[str, str] = {}
        for pause in (*_PAUSES, None):
            waiting: list[Entry] = []
            for batch in _batches(entries):
                for entry, item in zip(batch, self._bulk(batch), strict=True):
                    status = item["status"]
                    if status in _TOO_BAD:
                        refused[entry.event_id] = item["error"]["reason"]
                    elif status == _TOO_MANY or status >= _SERVER_ERROR:
                        waiting.append(entry)
