"""SearchIndex: results made searchable. It is a projection: it may be deleted and refilled at any time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

FieldType = Literal["keyword", "long", "double", "boolean", "date"]

ENVELOPE: Mapping[str, FieldType] = {
    "event_id": "keyword",
    "position": "long",
    "type": "keyword",
    "source": "keyword",
    "subject": "keyword",
    "time": "date",
    "pipeline": "keyword",
    "generation": "long",
}
"""The fields that every document has beside its own; `text` holds the words of its strings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchDocument:
    """One result. `version` is the position of its context: an older one never replaces a newer one.

    `envelope` has a value for each name in ENVELOPE, `document` the pipeline's own fields (plain JSON values).
    """

    version: int
    envelope: Mapping[str, Any]
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rejection:
    """A document that the index refused; a reduced one (envelope alone) was kept in its place."""

    event_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregation:
    """One aggregation: `terms` (the `size` most frequent values), `date_histogram` or `stats` of a field.

    The first two may hold one `stats` of another field in each bucket. `interval` is minute, hour, day, week or
    month, in UTC.
    """

    kind: Literal["terms", "date_histogram", "stats"]
    field: str
    size: int = 10
    interval: Literal["minute", "hour", "day", "week", "month"] = "day"
    stats: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """What is asked: `q` in the Lucene-style language, `filters` (field → exact value, or `{gte, gt, lte, lt}`).

    `sort` names a field, with `-` before it for descending; None sorts by relevance where `q` has words, else
    newest first. `cursor` continues an earlier answer. `size` is 0 to 1,000.
    """

    q: str = ""
    filters: Mapping[str, Any] = field(default_factory=dict)
    sort: str | None = None
    size: int = 20
    cursor: str | None = None
    aggs: Mapping[str, Aggregation] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAnswer:
    """`hits` are envelope and document fields in one object each; `total` counts all that match exactly.

    `aggs` by name: `{"buckets": [{"key", "count", "stats"?}]}`, or `{"count", "min", "max", "avg", "sum"}`
    (nulls, but for count and sum, where no document has the field). Dates are RFC 3339 text, also as keys.
    `cursor` is None on the last page. `log_id` is the index's label.
    """

    hits: Sequence[Mapping[str, Any]]
    total: int
    aggs: Mapping[str, Any] = field(default_factory=dict)
    cursor: str | None = None
    log_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState:
    """What an index holds; `updated_at` is when it last took documents, where it knows.

    `log_id` is its label, None while it has none; `version` the highest of its documents, 0 without any.
    """

    name: str
    documents: int
    log_id: str | None = None
    version: int = 0
    updated_at: datetime | None = None


class SearchIndex(Protocol):
    """Keeps the latest document of each event, and answers one query language."""

    backend: str

    def open(self, fields: Mapping[str, FieldType], *, anew: Callable[[], None] = lambda: None) -> None:
        """Make the index if there is none, and add fields that it lacks. Safe to call at every start.

        Where it holds nothing, `anew` is called: whoever fills it is to begin at the beginning. A missing index is
        made only after that, so that no other process puts a document into one that will not be filled.

        Raises:
            Misconfigured: a field exists with another type.
            Unavailable: the index cannot be reached.
        """
        ...

    def put(self, documents: Sequence[SearchDocument]) -> list[Rejection]:
        """Keep documents, each judged by itself; an older version than the kept one is passed over.

        Raises:
            Unavailable: some documents were not judged; put all of them again.
        """
        ...

    def search(self, query: SearchQuery) -> SearchAnswer:
        """Answer a query; what was put is found within a second.

        Raises:
            InvalidQuery: the syntax, a field, a cursor or an aggregation is not understood.
            Unavailable: the index cannot be reached.
        """
        ...

    def start_anew(self, fields: Mapping[str, FieldType]) -> None:
        """Make an empty index without a label in the place of the present one, for a refill from the log."""
        ...

    def label(self, log_id: str) -> None:
        """Keep in the index which log it shows, in the place of what it said before.

        Raises:
            Unavailable: the index cannot be reached.
        """
        ...

    def state(self) -> IndexState:
        """What the index holds.

        Raises:
            Unavailable: the index cannot be reached.
        """
        ...
