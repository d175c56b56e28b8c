"""Results: made searchable by the `index` subscription, and searched."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from msgspec import Raw, Struct
from msgspec.json import Decoder
from pydantic_core import from_json

from application.engine import Batch, Engine, Outcome
from application.ports.claims import Claims
from application.ports.context_log import ContextLog, RecordedContext
from application.ports.journal import Journal
from application.ports.log_ids import LogIds
from application.ports.promotions import Promotions, ranks_of
from application.ports.search_index import (
    FieldType,
    Index,
    IndexState,
    Label,
    Rejection,
    SearchAnswer,
    SearchDocument,
    SearchIndex,
    SearchQuery,
    version_of,
)
from application.subscription import Log, Selection, Subscription
from domain.effects import IndexDocument
from domain.errors import RebuildNeeded, Unavailable

INDEX = "index"
"""The name of the subscription that fills the index."""
LOG: Log = "task_contexts"
"""The log that the index shows."""
_PAUSE_SECONDS = 0.1
_ANOTHER = "another"
"""The label of an index that shows what no log has: it stays so until it is built anew."""
OUTDATED = "The index shows another log, as after a restore. Run: playhead index rebuild"


@dataclass(kw_only=True)
class Indexer:
    """Carries documents to every index; makes one that serves first, and again after it was away."""

    index: SearchIndex
    fields: Mapping[str, FieldType]
    subscription: Subscription
    claims: Claims
    contexts: ContextLog
    promotions: Promotions
    log_ids: LogIds
    journal: Journal
    _opened_for: str | None = None

    def open(self) -> None:
        """Make the index if there is none, or add the fields that it lacks. One that holds nothing is refilled.

        An index without a label is taken for one of the present log, and labelled so. A promotion that another process
        did not live to end is ended.

        Raises:
            Unavailable: the index cannot be reached, or the log is a standby's, which may be behind it.
            RebuildNeeded: it shows another log, or what this one no longer has.
            Misconfigured: a field exists with another type.
        """
        self.log_ids.require_writable()
        log_id = self.log_ids.of(LOG)
        self.index.open(self.fields, anew=self._begin_anew)
        view = self.promotions.current().promoted
        serve_view(view, index=self.index, log_id=log_id)
        state = self.index.state()
        # Only now: the log's head is at least what the index shows of it.
        backlog = self.claims.backlog([self.subscription.name]).get(self.subscription.name)
        outdated = why_outdated(state, log_id=log_id, head=backlog.head if backlog else state.context)
        if outdated is not None:
            if state.label is None or state.label.log_id != _ANOTHER:
                # Said in the index itself, for the log may grow past what the index shows.
                self.index.label(Label(log_id=_ANOTHER))
            raise RebuildNeeded(outdated)
        if state.label is None or state.label.log_id != log_id:
            self.index.label(Label(log_id=log_id, view=view))
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
        if self._opened_for is None or self._opened_for != self.log_ids.of(LOG):
            self.open()

    def load(self, selection: Selection, limit: int) -> "Rows":
        """The contexts of a claim that an index shows, beside the indices that there are now.

        An index that is made later is filled up to where the log is then, so these contexts are not its own.
        """
        views = self._views()
        generations = {generation for ranks in views.values() for generation in ranks}
        return Rows(contexts_of(generations, selection, limit, contexts=self.contexts), views)

    def index_contexts(self, batch: Batch) -> Sequence[Outcome]:
        """Put the documents that the contexts of a claim declare into every index whose view has them.

        So an index beside the one that serves needs to be filled just up to where the log was when it was made.

        Raises:
            Unavailable: an index cannot be reached; the claim is tried again.
        """
        rows = batch.rows
        assert isinstance(rows, Rows), "index_contexts is handed what load gave"
        for index, ranks in rows.views.items():
            try:
                rejections = put_contexts(rows, ranks, index=self.index, into=index)
            except Unavailable:
                if not index.serves and index.key not in {each.key for each in self.index.indices()}:
                    continue  # it was dropped meanwhile
                self._opened_for = None
                raise
            for rejection in rejections if index.serves else ():
                self.journal.documents_rejected([rejection.event_id], rejection.reason)
        return [Outcome(position=row.position) for row in rows]

    def _views(self) -> dict[Index, Mapping[int, int]]:
        """The ranks of generations in every index of this log."""
        found = self.index.indices()
        serving = next((index for index in found if index.serves), None)
        if serving is None:
            self._opened_for = None
            raise Unavailable("The search index is not there.")
        if serving.label is None:  # another process is about to say what it shows
            log_id, view = self.log_ids.of(LOG), self.promotions.current().promoted
        else:
            log_id, view = serving.label.log_id, serving.label.view
        beside = [index for index in found if index.label is not None and index.label.log_id == log_id]
        return {serving: ranks_of(view)} | {index: ranks_of(index.label.view) for index in beside if index.label}


class Rows(list[RecordedContext]):
    """Contexts, and the ranks that generations have in each index that they are to be put into."""

    def __init__(self, rows: Iterable[RecordedContext], views: Mapping[Index, Mapping[int, int]]) -> None:
        super().__init__(rows)
        self.views = views


def contexts_of(
    generations: Iterable[int], selection: Selection, limit: int, *, contexts: ContextLog
) -> Sequence[RecordedContext]:
    """The selected contexts of some generations, by ascending position."""
    pages = [
        contexts.read(replace(selection, where={**selection.where, "generation": generation}), limit=limit)
        for generation in sorted(generations)
    ]
    return sorted(chain(*pages), key=lambda row: row.position)


def put_contexts(
    rows: Iterable[RecordedContext], ranks: Mapping[int, int], *, index: SearchIndex, into: Index
) -> Sequence[Rejection]:
    """Put the documents of contexts into an index, where its generations have these ranks."""
    documents = [document for row in rows for document in documents_of(row, ranks)]
    return index.put(documents, into) if documents else []


class _Event(Struct):
    id: str
    position: int
    type: str
    source: str
    subject: str
    time: str


class _Context(Struct):
    event: _Event
    effects: Raw


_CONTEXT = Decoder(_Context)


def documents_of(row: RecordedContext, ranks: Mapping[int, int]) -> list[SearchDocument]:
    """The documents that a context declares, none of a generation without rank; the last one wins: they share an id."""
    rank = ranks.get(row.generation)
    if rank is None:
        return []
    # Of the text only what an index needs: no TaskContext.
    context = _CONTEXT.decode(row.context)
    event = context.event
    envelope = {
        "event_id": event.id,
        "position": event.position,
        "type": event.type,
        "source": event.source,
        "subject": event.subject,
        "time": event.time,
        "pipeline": row.pipeline,
        "generation": row.generation,
    }
    effects = from_json(bytes(context.effects))
    declared = [effect["document"] for effect in effects if effect["kind"] == IndexDocument.kind]
    version = version_of(row.position, rank=rank)
    return [SearchDocument(version=version, envelope=envelope, document=document) for document in declared[-1:]]


def shows(index: Index, log_id: str, view: Sequence[int], *, whole: bool = True) -> bool:
    """Whether an index is one of this log and view, and whole, or still to be filled."""
    label = index.label
    return label is not None and (label.log_id, label.view, label.whole) == (log_id, tuple(view), whole)


def serve_view(view: Sequence[int], *, index: SearchIndex, log_id: str) -> bool:
    """Let an index of this view serve, if there is one that is whole and another serves; whether it is so now."""
    fitting = [each for each in index.indices() if shows(each, log_id, view)]
    if fitting and not any(each.serves for each in fitting):
        index.serve(fitting[-1])
    return bool(fitting)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An answer, who gave it, how many contexts the index is behind the log, and a warning if it shows what is not.

    All of the answer is of one `view`: the promoted generations, the newest first.
    """

    answer: SearchAnswer
    backend: str
    index_lag: int
    view: Sequence[int] = ()
    warning: str | None = None


def search(query: SearchQuery, *, index: SearchIndex, claims: Claims, log_ids: LogIds, promotions: Promotions) -> Found:
    """Answer a query from the index. If a promotion was not ended by the process that began it, it is ended here.

    Not so where the store is a standby: it may not have heard of the promotion that the index shows.
    """
    answer, log_id, view = index.search(query), log_ids.of(LOG), promotions.current().promoted
    if (
        answer.label is not None
        and answer.label.log_id == log_id
        and answer.label.view != view
        and _is_writable(log_ids)
        and serve_view(view, index=index, log_id=log_id)
    ):
        answer = index.search(query)
    return Found(
        answer=answer,
        backend=index.backend,
        index_lag=index_lag(claims=claims),
        view=answer.label.view if answer.label else view,
        warning=_warning(answer.label, log_id, view),
    )


def _is_writable(log_ids: LogIds) -> bool:
    try:
        log_ids.require_writable()
    except Unavailable:
        return False
    return True


def _warning(label: Label | None, log_id: str, view: Sequence[int]) -> str | None:
    if label is None:
        return None
    if label.log_id != log_id:
        return f"What is found may not be stored. {OUTDATED}"
    if label.view != view:
        return "The index does not show the promoted results. Run: playhead index rebuild"
    return None


def why_outdated(state: IndexState, *, log_id: str, head: int) -> str | None:
    """What is wrong with an index that does not show the log of this id and head; None where nothing is."""
    if state.documents and state.label is not None and state.label.log_id != log_id:
        return OUTDATED
    if state.context > head:
        return (
            f"The index shows context {state.context}, but the log ends at {head}: an older state of it was restored. "
            "Run: playhead db restored, playhead index rebuild"
        )
    return None


def catch_up(engine: Engine, *, claims: Claims, seconds: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Work the `index` subscription beside whoever else does, until the index shows all or the time is over.

    Raises:
        Unavailable: the index cannot be reached.
    """
    end = time.monotonic() + seconds
    while index_lag(claims=claims) and time.monotonic() < end:
        if not engine.turn(INDEX, seconds=1):
            sleep(_PAUSE_SECONDS)


def index_lag(*, claims: Claims) -> int:
    """How many contexts lie between the log's head and what is known to be indexed."""
    backlog = claims.backlog([INDEX]).get(INDEX)
    return backlog.head - backlog.cursor + backlog.claimed if backlog else 0
