"""SearchIndex: results made searchable. It is a projection: it may be deleted and refilled at any time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from msgspec import Struct

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

_CONTEXTS = 1 << 40
"""More contexts than a log will have; 8,192 times as many are still whole numbers where an index knows doubles."""


def version_of(context: int, *, rank: int) -> int:
    """The version of the document that the context at this position declares, where generations have ranks."""
    return rank * _CONTEXTS + context


def context_of(version: int) -> int:
    """The position of the context that declared a document of this version."""
    return version % _CONTEXTS


class SearchDocument(Struct, frozen=True, kw_only=True):
    """One result. Of two documents of an event the one with the lower `version` (see `version_of`) never stays.

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
class Label:
    """What an index shows: the log of this id, as `view` has it (the promoted generations, the newest first).

    An index that is not `whole` is being built, of the contexts up to `until` (None: not known yet); what is appended
    later is put into it as into every other.
    """

    log_id: str
    view: tuple[int, ...] = ()
    whole: bool = True
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAnswer:
    """`hits` are envelope and document fields in one object each; `total` counts all that match exactly.

    `aggs` by name: `{"buckets": [{"key", "count", "stats"?}]}`, or `{"count", "min", "max", "avg", "sum"}`
    (nulls, but for count and sum, where no document has the field). Dates are RFC 3339 text, also as keys.
    `cursor` is None on the last page. `label` is that of the one index which all of this is from.
    """

    hits: Sequence[Mapping[str, Any]]
    total: int
    aggs: Mapping[str, Any] = field(default_factory=dict)
    cursor: str | None = None
    label: Label | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """One of the indices: the one that `serves` answers queries. `key` names it for ever, `name` is for people."""

    name: str
    key: str
    serves: bool
    label: Label | None = None
    fields: Mapping[str, FieldType] | None = field(default=None, compare=False)
    """Its fields when it was looked at, where they came along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState:
    """What an index holds; `updated_at` is when it last took documents, where it knows.

    `label` is None while it has none; `context` is the highest context of its documents, 0 without any.
    """

    name: str
    documents: int
    label: Label | None = None
    context: int = 0
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """A document as an index has it; `hit` is what answers show of it."""

    event_id: str
    version: int
    hit: Mapping[str, Any]


class SearchIndex(Protocol):
    """Keeps the latest document of each event, and answers one query language.

    It may have several indices. One of them serves; the others stand beside it, being built to take its place, or kept
    for the way back.
    """

    backend: str

    def open(self, fields: Mapping[str, FieldType], *, anew: Callable[[], None] = lambda: None) -> None:
        """Make an index that serves if there is none, and add fields that indices lack. Safe to call at every start.

        Where the one that serves holds nothing, `anew` is called: whoever fills it is to begin at the beginning. A
        missing index is made only after that, so that no other process puts a document into one that will not be
        filled.

        Raises:
            Misconfigured: a field exists with another type.
            Unavailable: the index cannot be reached.
        """
        ...

    def indices(self) -> Sequence[Index]:
        """Every index there is, the oldest first.

        Raises:
            Unavailable: they cannot be reached.
        """
        ...

    def make(self, fields: Mapping[str, FieldType], label: Label) -> Index:
        """Make an empty index beside the others.

        Raises:
            Unavailable: it cannot be reached.
        """
        ...

    def serve(self, index: Index) -> None:
        """Let this index answer queries from now on, in one step; the one before stays, beside it.

        All that was put into it before is found.

        Raises:
            Unavailable: it is not there, or cannot be reached.
        """
        ...

    def drop(self, index: Index) -> None:
        """Delete an index that does not serve; one that is not there is no error."""
        ...

    def label(self, label: Label, index: Index | None = None) -> None:
        """Keep in an index, None: the one that serves, what it shows, in the place of what it said before.

        Raises:
            Unavailable: the index is not there, or cannot be reached.
        """
        ...

    def put(self, documents: Sequence[SearchDocument], index: Index | None = None) -> list[Rejection]:
        """Keep documents in an index, None: the one that serves, each judged by itself.

        One with a lower version than the kept one is passed over.

        Raises:
            Unavailable: some documents were not judged, put all of them again; or the index is not there.
        """
        ...

    def search(self, query: SearchQuery) -> SearchAnswer:
        """Answer a query, from one index; what was put is found within a second.

        Raises:
            InvalidQuery: the syntax, a field, a cursor or an aggregation is not understood.
            Unavailable: the index cannot be reached.
        """
        ...

    def state(self, index: Index | None = None) -> IndexState:
        """What an index holds, None: the one that serves.

        Raises:
            Unavailable: the index is not there, or cannot be reached.
        """
        ...

    def expected(self, documents: Sequence[SearchDocument], index: Index) -> Sequence[StoredDocument]:
        """What an index would have of documents, the newest of each event, if they were put."""
        ...

    def documents(self, index: Index, *, after: int | None, last: int | None) -> Iterator[StoredDocument]:
        """What an index has of the events past a position, up to a last one (None: no end), in no particular order.

        With `after` None, documents without a position are among them. What was put is among them within a second.

        Raises:
            Unavailable: the index is not there, or cannot be reached.
        """
        ...
