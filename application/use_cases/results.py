"""Results: made searchable by the `index` subscription, and searched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import from_json

from application.auditor import Auditor
from application.engine import Batch, Outcome
from application.ports.claims import Claims
from application.ports.context_log import RecordedContext
from application.ports.journal import Journal
from application.ports.search_index import FieldType, SearchAnswer, SearchDocument, SearchIndex, SearchQuery
from application.subscription import Subscription
from domain.effects import IndexDocument
from domain.errors import Unavailable

INDEX = "index"
"""The name of the subscription that fills the index."""


@dataclass(kw_only=True)
class Indexer:
    """Carries documents to the index; makes the index first, and again after it was away."""

    index: SearchIndex
    fields: Mapping[str, FieldType]
    subscription: Subscription
    claims: Claims
    journal: Journal
    _opened: bool = False

    def open(self) -> None:
        """Make the index if there is none, or add the fields that it lacks. One that holds nothing is refilled.

        Raises:
            Unavailable: the index cannot be reached.
            Misconfigured: a field exists with another type.
        """
        self.index.open(self.fields)
        backlog = self.claims.backlog([self.subscription.name]).get(self.subscription.name)
        if backlog is not None and backlog.cursor > 0 and self.index.state().documents == 0:
            # Somebody deleted it: it is a projection, and begins again at position 0.
            self.claims.rewind(self.subscription)
        self._opened = True

    def begin(self) -> None:
        """Open the index, unless it is open. While it is away nothing is claimed.

        Raises:
            Unavailable: the index cannot be reached.
        """
        if not self._opened:
            self.open()

    def index_contexts(self, batch: Batch) -> Sequence[Outcome]:
        """Put the documents that the contexts of a claim declare.

        Raises:
            Unavailable: the index cannot be reached; the claim is tried again.
        """
        rows: Sequence[RecordedContext] = batch.rows
        documents = [document for row in rows for document in documents_of(row)]
        try:
            rejections = self.index.put(documents) if documents else []
        except Unavailable:
            self._opened = False
            raise
        for rejection in rejections:
            self.journal.documents_rejected([rejection.event_id], rejection.reason)
        return [Outcome(position=row.position) for row in rows]


def documents_of(row: RecordedContext) -> list[SearchDocument]:
    """The documents that a context declares; the last one wins, for they share the event's id."""
    # Read as plain JSON: an index needs no TaskContext.
    context = from_json(row.context)
    event = context["event"]
    envelope = {
        "event_id": event["id"],
        "position": event["position"],
        "type": event["type"],
        "source": event["source"],
        "subject": event["subject"],
        "time": event["time"],
        "pipeline": row.pipeline,
        "generation": row.generation,
    }
    declared = [effect["document"] for effect in context["effects"] if effect["kind"] == IndexDocument.kind]
    return [SearchDocument(version=row.position, envelope=envelope, document=document) for document in declared[-1:]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An answer, who gave it, and how many contexts the index is behind the log."""

    answer: SearchAnswer
    backend: str
    index_lag: int


def search(query: SearchQuery, *, index: SearchIndex, claims: Claims) -> Found:
    """Answer a query from the index."""
    return Found(answer=index.search(query), backend=index.backend, index_lag=index_lag(claims=claims))


def index_lag(*, claims: Claims) -> int:
    """How many contexts lie between the log's head and what is known to be indexed."""
    backlog = claims.backlog([INDEX]).get(INDEX)
    return backlog.head - backlog.cursor + backlog.claimed if backlog else 0


def rebuild_index(
    *,
    index: SearchIndex,
    fields: Mapping[str, FieldType],
    claims: Claims,
    subscription: Subscription,
    auditor: Auditor,
) -> None:
    """Begin the index anew: empty, its subscription back at position 0. Whoever works it refills the index."""
    auditor.record("index.rebuild", index.backend)
    index.start_anew(fields)
    # Only now: what is indexed after the rewind goes into the new index, and the cursor covers all before it.
    claims.rewind(subscription)
