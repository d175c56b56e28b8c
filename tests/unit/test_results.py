"""Results: documents reach the index, whatever happens to it; a query says how far behind it is."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from application.auditor import Auditor
from application.engine import Batch, Outcome
from application.ports.claims import Completion
from application.ports.search_index import FieldType, Index, Label, Rejection, SearchDocument, SearchQuery
from application.subscription import Selection, Subscription
from application.use_cases.indices import rebuild_index
from application.use_cases.results import Found, Indexer, documents_of, index_lag, search
from domain.context import TaskContext
from domain.effects import IndexDocument
from domain.errors import RebuildNeeded, Unavailable
from infrastructure.memory.log_ids import MemoryLogIds
from infrastructure.memory.search_index import MemorySearchIndex
from infrastructure.memory.store import MemoryStore
from infrastructure.memory.tables import MemoryTables, system_clock
from tests.factories import NewContextFactory, NewEventFactory
from tests.unit.engines import INDEXING, builder_of, indexer_of

FIELDS: dict[str, FieldType] = {"size": "long"}


class _Away(MemorySearchIndex):
    """An index that is away as often as it is told to be."""

    times = 0

    def put(self, documents: Sequence[SearchDocument], index: Index | None = None) -> list[Rejection]:
        if self.times:
            self.times -= 1
            raise Unavailable("away")
        return super().put(documents, index)


@pytest.fixture
def store() -> MemoryStore:
    """Three events with a completed context each, whose documents have the sizes 0, 1 and 'large'."""
    store = MemoryStore()
    store.events.append([NewEventFactory(route=None) for _ in range(3)])
    store.claims.register([INDEXING, Subscription(name="orders", log="events")])
    claim = store.claims.take(Subscription(name="orders", log="events"), owner="test")
    contexts = []
    for event, size in zip(store.events.read(Selection(), limit=3), (0, 1, "large"), strict=True):
        context = TaskContext(event=event).declare(IndexDocument(document={"size": size}))
        contexts.append(NewContextFactory(event_position=event.position, context=context.json, digest=context.digest))
    assert store.claims.complete(claim, Completion(contexts=contexts))
    return store


def find(store: MemoryStore, index: MemorySearchIndex, query: SearchQuery = SearchQuery()) -> Found:  # noqa: B008  # it is frozen
    return search(query, index=index, claims=store.claims, log_ids=store.log_ids, promotions=store.promotions)


def work(store: MemoryStore, indexer: Indexer) -> Sequence[Outcome]:
    indexer.begin()
    claim = store.claims.take(INDEXING, owner="test")
    rows = indexer.load(INDEXING.selection, 10)
    outcomes = indexer.index_contexts(Batch(claim=claim, subscription=INDEXING, rows=rows, stopping=lambda: False))
    store.claims.complete(claim, Completion())
    return outcomes


def rebuild(store: MemoryStore, index: MemorySearchIndex) -> None:
    rebuild_index(builder=builder_of(store, index, FIELDS), auditor=Auditor("cli:somebody", store.audit))


def test_documents_are_found_and_a_rejected_one_is_kept_reduced_and_reported(store: MemoryStore) -> None:
    index = MemorySearchIndex()
    indexer = indexer_of(store, index, FIELDS)

    outcomes = work(store, indexer)

    assert [outcome.position for outcome in outcomes] == [1, 2, 3]
    found = find(store, index, SearchQuery(sort="position"))
    assert [hit.get("size") for hit in found.answer.hits] == [0, 1, None]
    assert (found.backend, found.index_lag) == ("memory", 0)
    assert "size" in indexer.journal.rejected[1]


def test_lag_counts_what_no_claim_has_taken_and_what_claims_hold(store: MemoryStore) -> None:
    assert index_lag(claims=store.claims) == 3

    store.claims.take(INDEXING, owner="test")

    assert index_lag(claims=store.claims) == 3


def test_an_index_that_is_away_loses_nothing(store: MemoryStore) -> None:
    index = _Away()
    index.times = 1
    indexer = indexer_of(store, index, FIELDS)
    indexer.begin()
    claim = store.claims.take(INDEXING, owner="test")
    rows = indexer.load(INDEXING.selection, 10)
    batch = Batch(claim=claim, subscription=INDEXING, rows=rows, stopping=lambda: False)

    with pytest.raises(Unavailable):
        indexer.index_contexts(batch)
    indexer.index_contexts(batch)

    assert index.search(SearchQuery()).total == 3


def test_an_index_that_was_deleted_is_refilled_from_position_0(store: MemoryStore) -> None:
    work(store, indexer_of(store, MemorySearchIndex(), FIELDS))
    emptied = MemorySearchIndex()
    indexer = indexer_of(store, emptied, FIELDS)

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
    work(store, indexer_of(store, MemorySearchIndex(), FIELDS))
    [*_, last] = store.contexts.read(INDEXING.selection, limit=10)
    emptied = _MadeAmongOthers(*documents_of(last, {0: 0}))

    work(store, indexer_of(store, emptied, FIELDS))

    assert emptied.search(SearchQuery()).total == 3


def test_an_index_that_holds_documents_is_not_refilled(store: MemoryStore) -> None:
    index = MemorySearchIndex()
    work(store, indexer_of(store, index, FIELDS))

    indexer_of(store, index, FIELDS).open()

    assert index_lag(claims=store.claims) == 0


def test_an_index_is_labelled_with_the_log_that_it_shows(store: MemoryStore) -> None:
    index = MemorySearchIndex()
    work(store, indexer_of(store, index, FIELDS))

    assert index.state().label == Label(log_id=store.log_ids.of("task_contexts"))


def test_an_index_without_a_label_is_taken_for_one_of_the_present_log(store: MemoryStore) -> None:
    index = MemorySearchIndex()
    work(store, indexer_of(store, index, FIELDS))
    [present] = index._kept.values()
    present.index = replace(present.index, label=None)

    indexer_of(store, index, FIELDS).open()

    assert index.state().label == Label(log_id=store.log_ids.of("task_contexts"))
    assert index_lag(claims=store.claims) == 0


def test_an_index_of_another_log_takes_nothing_and_warns_until_it_is_rebuilt(store: MemoryStore) -> None:
    index = MemorySearchIndex()
    indexer = indexer_of(store, index, FIELDS)
    work(store, indexer)
    store.log_ids.renew({"task_contexts": "new"})

    for opener in (indexer, indexer_of(store, index, FIELDS)):
        with pytest.raises(RebuildNeeded, match="index rebuild"):
            opener.begin()
    found = find(store, index)
    assert found.answer.total == 3
    assert found.warning is not None
    assert "index rebuild" in found.warning

    rebuild(store, index)
    indexer.begin()
    found = find(store, index)
    assert (found.answer.total, found.warning) == (3, None)


def test_an_index_that_is_ahead_of_its_log_stays_so_when_the_log_grows_past_it(store: MemoryStore) -> None:
    index = MemorySearchIndex()
    older = MemoryStore()
    older.claims.register([INDEXING])
    older.log_ids.renew({"task_contexts": store.log_ids.of("task_contexts")})
    work(store, indexer_of(store, index, FIELDS))

    with pytest.raises(RebuildNeeded, match="shows context 3, but the log ends at 0"):
        indexer_of(older, index, FIELDS).open()
    with pytest.raises(RebuildNeeded):
        indexer_of(store, index, FIELDS).open()


class _StandbyLogIds(MemoryLogIds):
    def require_writable(self) -> None:
        raise Unavailable("a standby")


def test_a_standby_that_is_behind_judges_and_changes_no_index(store: MemoryStore) -> None:
    """It has not heard of the contexts that the index shows, nor of the promotion."""
    log_id = store.log_ids.of("task_contexts")
    index = MemorySearchIndex()
    work(store, indexer_of(store, index, FIELDS))
    index.serve(index.make(FIELDS, Label(log_id=log_id, view=(1,))))
    tables = MemoryTables(clock=system_clock)
    tables.log_ids["task_contexts"] = log_id
    behind = MemoryStore()
    behind.claims.register([INDEXING])
    behind.log_ids = _StandbyLogIds(tables)

    with pytest.raises(Unavailable, match="a standby"):
        indexer_of(behind, index, FIELDS).open()
    with pytest.raises(Unavailable, match="a standby"):
        builder_of(behind, index, FIELDS).build(())
    found = find(behind, index)

    assert found.view == (1,)
    assert index.state().label == Label(log_id=log_id, view=(1,))
    assert len(index.indices()) == 2


def test_an_empty_index_of_another_log_is_simply_filled(store: MemoryStore) -> None:
    index = MemorySearchIndex()
    index.label(Label(log_id="another"))

    work(store, indexer_of(store, index, FIELDS))

    assert index.state().label == Label(log_id=store.log_ids.of("task_contexts"))
    assert index.state().documents == 3
