"""Results: documents reach the index, whatever happens to it; a query says how far behind it is."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from application.auditor import Auditor
from application.engine import Batch, Outcome
from application.ports.claims import Completion
from application.ports.search_index import FieldType, Rejection, SearchDocument, SearchQuery
from application.subscription import Selection, Subscription
from application.use_cases.results import INDEX, Indexer, documents_of, index_lag, rebuild_index, search
from domain.context import TaskContext
from domain.effects import IndexDocument
from domain.errors import RebuildNeeded, Unavailable
from infrastructure.memory.search_index import MemorySearchIndex
from infrastructure.memory.store import MemoryStore
from tests.factories import NewContextFactory, NewEventFactory

FIELDS: dict[str, FieldType] = {"size": "long"}
SUBSCRIPTION = Subscription(
    name=INDEX, log="task_contexts", selection=Selection(where={"status": "completed", "generation": 0})
)


class _Journal:
    def __init__(self) -> None:
        self.rejected: list[str] = []

    def documents_rejected(self, event_ids: Sequence[str], reason: str) -> None:
        self.rejected += [*event_ids, reason]


class _Away(MemorySearchIndex):
    """An index that is away as often as it is told to be."""

    times = 0

    def put(self, documents: Sequence[SearchDocument]) -> list[Rejection]:
        if self.times:
            self.times -= 1
            raise Unavailable("away")
        return super().put(documents)


@pytest.fixture
def store() -> MemoryStore:
    """Three events with a completed context each, whose documents have the sizes 0, 1 and 'large'."""
    store = MemoryStore()
    store.events.append([NewEventFactory(route=None) for _ in range(3)])
    store.claims.register([SUBSCRIPTION, Subscription(name="orders", log="events")])
    claim = store.claims.take(Subscription(name="orders", log="events"), owner="test")
    contexts = []
    for event, size in zip(store.events.read(Selection(), limit=3), (0, 1, "large"), strict=True):
        context = TaskContext(event=event).declare(IndexDocument(document={"size": size}))
        contexts.append(NewContextFactory(event_position=event.position, context=context.json, digest=context.digest))
    assert store.claims.complete(claim, Completion(contexts=contexts))
    return store


def indexer_of(store: MemoryStore, index: MemorySearchIndex) -> Indexer:
    return Indexer(
        index=index,
        fields=FIELDS,
        subscription=SUBSCRIPTION,
        claims=store.claims,
        log_ids=store.log_ids,
        journal=_Journal(),
    )


def work(store: MemoryStore, indexer: Indexer) -> Sequence[Outcome]:
    indexer.begin()
    claim = store.claims.take(SUBSCRIPTION, owner="test")
    rows = store.contexts.read(SUBSCRIPTION.selection, limit=10)
    outcomes = indexer.index_contexts(Batch(claim=claim, subscription=SUBSCRIPTION, rows=rows, stopping=lambda: False))
    store.claims.complete(claim, Completion())
    return outcomes


def rebuild(store: MemoryStore, index: MemorySearchIndex) -> None:
    rebuild_index(
        index=index,
        fields=FIELDS,
        claims=store.claims,
        log_ids=store.log_ids,
        subscription=SUBSCRIPTION,
        auditor=Auditor("cli:somebody", store.audit),
    )


def test_documents_are_found_and_a_rejected_one_is_kept_reduced_and_reported(store: MemoryStore) -> None:
    index = MemorySearchIndex()
    indexer = indexer_of(store, index)

    outcomes = work(store, indexer)

    assert [outcome.position for outcome in outcomes] == [1, 2, 3]
    found = search(SearchQuery(sort="position"), index=index, claims=store.claims, log_ids=store.log_ids)
    assert [hit.get("size") for hit in found.answer.hits] == [0, 1, None]
    assert (found.backend, found.index_lag) == ("memory", 0)
    assert "size" in indexer.journal.rejected[1]


def test_lag_counts_what_no_claim_has_taken_and_what_claims_hold(store: MemoryStore) -> None:
    assert index_lag(claims=store.claims) == 3

    store.claims.take(SUBSCRIPTION, owner="test")

    assert index_lag(claims=store.claims) == 3


def test_an_index_that_is_away_loses_nothing(store: MemoryStore) -> None:
    index = _Away()
    index.times = 1
    indexer = indexer_of(store, index)
    indexer.begin()
    claim = store.claims.take(SUBSCRIPTION, owner="test")
    rows = store.contexts.read(SUBSCRIPTION.selection, limit=10)
    batch = Batch(claim=claim, subscription=SUBSCRIPTION, rows=rows, stopping=lambda: False)

    with pytest.raises(Unavailable):
        indexer.index_contexts(batch)
    indexer.index_contexts(batch)

    assert index.search(SearchQuery()).total == 3


def test_an_index_that_was_deleted_is_refilled_from_position_0(store: MemoryStore) -> None:
    work(store, indexer_of(store, MemorySearchIndex()))
    emptied = MemorySearchIndex()
    indexer = indexer_of(store, emptied)

    work(store, indexer)

    assert emptied.search(SearchQuery()).total == 3


class _MadeAmongOthers(MemorySearchIndex):
    """An index into which another worker, that had it open before it was deleted, puts a result as soon as it can."""

    def __init__(self, result: SearchDocument) -> None:
        super().__init__()
        self._result = result

    def open(self, fields: Mapping[str, FieldType], **options: Any) -> None:
        super().open(fields, **options)
        self.put([self._result])


def test_a_deleted_index_is_refilled_also_where_another_worker_puts_the_first_document(store: MemoryStore) -> None:
    work(store, indexer_of(store, MemorySearchIndex()))
    [*_, last] = store.contexts.read(SUBSCRIPTION.selection, limit=10)
    emptied = _MadeAmongOthers(*documents_of(last))

    work(store, indexer_of(store, emptied))

    assert emptied.search(SearchQuery()).total == 3


def test_an_index_that_holds_documents_is_not_refilled(store: MemoryStore) -> None:
    index = MemorySearchIndex()
    work(store, indexer_of(store, index))

    indexer_of(store, index).open()

    assert index_lag(claims=store.claims) == 0


def test_rebuilding_begins_at_position_0_with_an_empty_index(store: MemoryStore) -> None:
    index = MemorySearchIndex()
    work(store, indexer_of(store, index))

    rebuild(store, index)

    assert index.search(SearchQuery()).total == 0
    assert index_lag(claims=store.claims) == 3


def test_an_index_is_labelled_with_the_log_that_it_shows(store: MemoryStore) -> None:
    index = MemorySearchIndex()
    work(store, indexer_of(store, index))

    assert index.state().log_id == store.log_ids.of("task_contexts")


def test_an_index_without_a_label_is_taken_for_one_of_the_present_log(store: MemoryStore) -> None:
    index = MemorySearchIndex()
    work(store, indexer_of(store, index))
    index._log_id = None

    indexer_of(store, index).open()

    assert index.state().log_id == store.log_ids.of("task_contexts")
    assert index_lag(claims=store.claims) == 0


def test_an_index_of_another_log_takes_nothing_and_warns_until_it_is_rebuilt(store: MemoryStore) -> None:
    index = MemorySearchIndex()
    indexer = indexer_of(store, index)
    work(store, indexer)
    store.log_ids.renew({"task_contexts": "new"})

    for opener in (indexer, indexer_of(store, index)):
        with pytest.raises(RebuildNeeded, match="index rebuild"):
            opener.begin()
    found = search(SearchQuery(), index=index, claims=store.claims, log_ids=store.log_ids)
    assert found.answer.total == 3
    assert found.warning is not None
    assert "index rebuild" in found.warning

    rebuild(store, index)
    work(store, indexer)
    found = search(SearchQuery(), index=index, claims=store.claims, log_ids=store.log_ids)
    assert (found.answer.total, found.warning) == (3, None)


def test_an_index_that_is_ahead_of_its_log_stays_so_when_the_log_grows_past_it(store: MemoryStore) -> None:
    index = MemorySearchIndex()
    older = MemoryStore()
    older.claims.register([SUBSCRIPTION])
    older.log_ids.renew({"task_contexts": store.log_ids.of("task_contexts")})
    work(store, indexer_of(store, index))

    with pytest.raises(RebuildNeeded, match="shows context 3, but the log ends at 0"):
        indexer_of(older, index).open()
    with pytest.raises(RebuildNeeded):
        indexer_of(store, index).open()


def test_an_empty_index_of_another_log_is_simply_filled(store: MemoryStore) -> None:
    index = MemorySearchIndex()
    index.label("another")

    work(store, indexer_of(store, index))

    assert index.state().log_id == store.log_ids.of("task_contexts")
    assert index.state().documents == 3
