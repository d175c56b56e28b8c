"""Results: made searchable by the `index` subscription, and searched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import from_json

from application.auditor import Auditor
from application.engine import Batch, Outcome
from application.ports.claims import Claims
from application.ports.context_log import RecordedContext
from application.ports.journal import Journal
from application.ports.log_ids import LogIds
from application.ports.search_index import (
    FieldType,
    IndexState,
    SearchAnswer,
    SearchDocument,
    SearchIndex,
    SearchQuery,
)
from application.subscription import Log, Subscription
from domain.effects import IndexDocument
from domain.errors import RebuildNeeded, Unavailable

INDEX = "index"
"""The name of the subscription that fills the index."""
_LOG: Log = "task_contexts"
_ANOTHER = "another"
"""The label of an index that shows what no log has: it stays so until it is built anew."""
OUTDATED = "The index shows another log, as after a restore. Run: playhead index rebuild"


@dataclass(kw_only=True)
class Indexer:
    """Carries documents to the index; makes the index first, and again after it was away."""

    index: SearchIndex
    fields: Mapping[str, FieldType]
    subscription: Subscription
    claims: Claims
    log_ids: LogIds
    journal: Journal
    _opened_for: str | None = None

    def open(self) -> None:
        """Make the index if there is none, or add the fields that it lacks. One that holds nothing is refilled.

        An index without a label is taken for one of the present log, and labelled so.

        Raises:
            Unavailable: the index cannot be reached.
            RebuildNeeded: it shows another log, or what this one no longer has.
            Misconfigured: a field exists with another type.
        """
        log_id = self.log_ids.of(_LOG)
        self.index.open(self.fields, anew=self._begin_anew)
        state = self.index.state()
        # Only now: the log's head is at least what the index shows of it.
        backlog = self.claims.backlog([self.subscription.name]).get(self.subscription.name)
        outdated = why_outdated(state, log_id=log_id, head=backlog.head if backlog else state.version)
        if outdated is not None:
            if state.log_id != _ANOTHER:
                # Said in the index itself, for the log may grow past what the index shows.
                self.index.label(_ANOTHER)
            raise RebuildNeeded(outdated)
        if state.log_id != log_id:
            self.index.label(log_id)
        self._opened_for = log_id

    def _begin_anew(self) -> None:
        """Somebody deleted the index: it is a projection, and begins again at position 0."""
        backlog = self.claims.backlog([self.subscription.name]).get(self.subscription.name)
        if backlog is not None and backlog.cursor > 0:
            self.claims.rewind(self.subscription)

    def begin(self) -> None:
        """Open the index, unless it is open for the log that there is now. While it is away nothing is claimed.

        Raises:
            Unavailable: the index cannot be reached.
            RebuildNeeded: it shows another log.
        """
        if self._opened_for is None or self._opened_for != self.log_ids.of(_LOG):
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
            self._opened_for = None
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
    """An answer, who gave it, how many contexts the index is behind the log, and a warning if it shows another."""

    answer: SearchAnswer
    backend: str
    index_lag: int
    warning: str | None = None


def search(query: SearchQuery, *, index: SearchIndex, claims: Claims, log_ids: LogIds) -> Found:
    """Answer a query from the index."""
    answer = index.search(query)
    known = answer.log_id is None or answer.log_id == log_ids.of(_LOG)
    return Found(
        answer=answer,
        backend=index.backend,
        index_lag=index_lag(claims=claims),
        warning=None if known else f"What is found may not be stored. {OUTDATED}",
    )


def why_outdated(state: IndexState, *, log_id: str, head: int) -> str | None:
    """What is wrong with an index that does not show the log of this id and head; None where nothing is."""
    if state.documents and state.log_id is not None and state.log_id != log_id:
        return OUTDATED
    if state.version > head:
        return (
            f"The index shows context {state.version}, but the log ends at {head}: an older state of it was restored. "
            "Run: playhead db restored, playhead index rebuild"
        )
    return None


def index_lag(*, claims: Claims) -> int:
    """How many contexts lie between the log's head and what is known to be indexed."""
    backlog = claims.backlog([INDEX]).get(INDEX)
    return backlog.head - backlog.cursor + backlog.claimed if backlog else 0


def rebuild_index(
    *,
    index: SearchIndex,
    fields: Mapping[str, FieldType],
    claims: Claims,
    log_ids: LogIds,
    subscription: Subscription,
    auditor: Auditor,
) -> None:
    """Begin the index anew: empty, its subscription back at position 0. Whoever works it refills the index."""
    auditor.record("index.rebuild", index.backend)
    index.start_anew(fields)
    index.label(log_ids.of(_LOG))
    # Only now: what is indexed after the rewind goes into the new index, and the cursor covers all before it.
    claims.rewind(subscription)
