"""Indices: compared with the store document by document, and built beside the one that serves."""

import pytest
from msgspec import structs

from application.auditor import Auditor
from application.engine import Batch
from application.ports.claims import Claim
from application.ports.search_index import Label, SearchDocument, SearchQuery
from application.subscription import Selection
from application.use_cases.indices import IndexDifference, rebuild_index
from domain.errors import IndexDiffers, Unavailable
from infrastructure.memory.search_index import MemorySearchIndex
from tests.unit.engines import INDEXING, builder_of, index_all, indexer_of
from tests.unit.test_promoting import FIELDS, Site

EVENTS = 25


@pytest.fixture
def site() -> Site:
    site = Site()
    site.send(*range(6, EVENTS))
    return site


def verify(site: Site):
    [serving] = [index for index in site.index.indices() if index.serves]
    return site.builder().verify(serving)


def ids(site: Site) -> list[str]:
    return [event.id for event in site.store.events.stream(Selection())]


def test_an_index_that_agrees_has_no_difference(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("application.use_cases.indices.PARTITION", 10)

    found = verify(site)

    assert found.differences == []
    # Event 6 is dead.
    assert [(each.first, each.last, each.stored, each.indexed) for each in found.partitions] == [
        (1, 10, 9, 9), (11, 20, 10, 10), (21, 25, 5, 5),
    ]  # fmt: skip
    assert all(each.stored_digest == each.indexed_digest for each in found.partitions)


@pytest.mark.parametrize("partition", [4, 100])
def test_every_missing_altered_and_surplus_document_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch, partition: int
) -> None:
    monkeypatch.setattr("application.use_cases.indices.PARTITION", partition)
    [kept] = site.index._kept.values()
    missing, altered, foreign = ids(site)[7], ids(site)[11], "01900000-0000-7000-8000-000000000000"
    entry = kept.entries[altered]
    surplus = SearchDocument(
        version=1, envelope={**entry.hit, "event_id": foreign, "position": 400}, document={"status": "late"}
    )
    site.index.put([surplus])
    del kept.entries[missing]
    kept.entries[altered] = structs.replace(entry, hit={**entry.hit, "status": "on_time"})

    found = verify(site).differences

    assert set(found) == {
        IndexDifference(kind="missing", event_id=missing),
        IndexDifference(kind="altered", event_id=altered),
        IndexDifference(kind="surplus", event_id=foreign),
    }
    assert len(found) == 3


def test_what_is_on_its_way_is_no_difference(site: Site) -> None:
    indexed, site.index = site.index, MemorySearchIndex()
    site.send(30)
    site.index = indexed
    # The index has everything but the newest, of which the subscription knows.
    site.store.claims.rewind(builder_of(site.store, site.index).template)

    assert verify(site).differences == []


def test_a_document_that_is_shown_a_moment_later_is_no_difference(site: Site) -> None:
    [kept] = site.index._kept.values()
    late = kept.entries.pop(ids(site)[3])
    [serving] = site.index.indices()

    found = site.builder(sleep=lambda _: kept.entries.update({late.event_id: late})).verify(serving)

    assert found.differences == []


def test_a_rebuild_answers_from_the_old_index_until_the_new_one_serves(site: Site) -> None:
    counts: list[int] = []
    rebuild_index(
        builder=site.builder(progress=lambda *_: counts.append(site.index.search(SearchQuery()).total)),
        auditor=Auditor("cli:somebody", site.store.audit),
    )
    assert set(counts) == {EVENTS - 1}
    assert site.index.search(SearchQuery()).total == EVENTS - 1
    assert verify(site).differences == []


def test_results_that_come_during_a_rebuild_are_in_the_new_index(site: Site) -> None:
    sent = iter([[100, 101], [102]])

    def meanwhile(*_: int) -> None:
        if delays := next(sent, None):
            site.send(*delays)

    rebuild_index(builder=site.builder(progress=meanwhile), auditor=site.auditor)

    assert site.index.search(SearchQuery()).total == EVENTS + 2
    assert verify(site).differences == []


def test_a_build_whose_index_is_deleted_ends_and_leaves_no_claim(site: Site) -> None:
    def delete(done: int, _: int) -> None:
        for index in site.index.indices():
            site.index.drop(index)

    with pytest.raises(Unavailable, match="deleted"):
        site.builder(progress=delete).build((7,))
    rebuild_index(builder=site.builder(), auditor=site.auditor)
    assert site.store.claims.subscriptions() == ["flights", "index"]
    assert verify(site).differences == []


def test_what_is_put_while_another_thread_finds_the_index_away_is_in_every_index(site: Site) -> None:
    indexer = indexer_of(site.store, site.index, FIELDS)
    indexer.begin()
    beside = site.index.make(FIELDS, Label(log_id=site.store.log_ids.of("task_contexts"), whole=False))
    rows = indexer.load(INDEXING.selection, 100)
    claim = Claim(id=1, subscription="index", first=1, last=100, attempt=0, deaths=0, fence=1)

    indexer._opened_for = None
    indexer.index_contexts(Batch(claim=claim, subscription=INDEXING, rows=rows, stopping=lambda: False))

    assert site.index.state(beside).documents == EVENTS - 1


def test_an_index_that_was_built_wrong_does_not_serve(site: Site) -> None:
    [before] = site.index.indices()
    builder = site.builder()
    build = builder.build

    def build_wrong(view):
        built = build(view)
        del site.index._kept[built.key].entries[ids(site)[3]]
        return built

    builder.build = build_wrong
    with pytest.raises(IndexDiffers, match=ids(site)[3]):
        rebuild_index(builder=builder, auditor=site.auditor)
    assert site.index.indices() == [before]


def test_a_rebuild_mends_what_was_lost(site: Site) -> None:
    [kept] = site.index._kept.values()
    kept.entries.clear()
    rebuild_index(builder=site.builder(), auditor=site.auditor)
    index_all(site.store, site.index, FIELDS)
    assert verify(site).differences == []
    assert site.index.search(SearchQuery()).total == EVENTS - 1
