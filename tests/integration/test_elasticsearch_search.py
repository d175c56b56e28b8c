"""Elasticsearch as the search index: what no other keeper can meet."""

import threading
from uuid import uuid4

import pytest

from application.ports.search_index import ENVELOPE, Label, SearchQuery
from domain.errors import Misconfigured, Unavailable
from infrastructure.elasticsearch import indices
from infrastructure.elasticsearch.client import connect
from infrastructure.elasticsearch.search_index import ElasticsearchSearchIndex
from tests.contracts.search_suite import FIELDS, document, elasticsearch_url, event_id, found

pytestmark = pytest.mark.elasticsearch


@pytest.fixture
def client():
    with connect(elasticsearch_url()) as client:
        yield client


@pytest.fixture
def alias(client):
    alias = f"test-{uuid4().hex}"
    yield alias
    for name in client.indices.get(index=f"{alias}*", expand_wildcards="all"):
        client.indices.delete(index=name)


@pytest.fixture
def index(client, alias):
    index = ElasticsearchSearchIndex(client, alias=alias)
    index.open(FIELDS)
    return index


def test_what_was_put_is_found_within_two_seconds_unasked(index):
    index.put([document(1, carrier="UA")])
    for _ in range(20):
        if found(index):
            return
        threading.Event().wait(0.1)
    pytest.fail("the document was not found")


def test_an_index_that_vanished_is_not_made_by_a_write(index, client, alias):
    client.indices.delete(index=f"{alias}-000001")
    for attempt in (lambda: index.put([document(1)]), lambda: found(index), index.state):
        with pytest.raises(Unavailable, match="index rebuild"):
            attempt()
    assert not client.indices.exists(index=f"{alias}*", allow_no_indices=False)


def test_the_alias_alone_is_not_written_to_as_an_index(index, client, alias):
    client.indices.delete(index=f"{alias}-000001")
    client.indices.create(index=alias)
    with pytest.raises(Unavailable, match="alias"):
        index.put([document(1)])
    with pytest.raises(Misconfigured, match=alias):
        index.open(FIELDS)


def test_a_document_that_only_the_server_refuses_is_reduced_and_reported(index, client, alias):
    client.indices.put_mapping(index=alias, properties={"address": {"type": "ip"}})
    [rejection] = index.put([document(1, address="nowhere", carrier="UA"), document(2, address="10.0.0.1")])
    assert rejection.event_id == event_id(1)
    assert "address" in rejection.reason
    client.indices.refresh(index=alias)
    answer = index.search(SearchQuery(sort="position"))
    assert [hit["position"] for hit in answer.hits] == [1, 2]
    assert answer.hits[0].keys() == ENVELOPE.keys()


def test_indices_are_numbered_and_the_alias_leads_to_the_one_that_serves(index, client, alias):
    label = Label(log_id="a")
    second, third = index.make(FIELDS, label), index.make(FIELDS, label)
    index.serve(third)
    index.drop(second)
    assert sorted(client.indices.get(index=f"{alias}*")) == [f"{alias}-000001", f"{alias}-000003"]
    assert list(client.indices.get_alias(name=alias)) == [third.name] == [f"{alias}-000003"]


def test_what_was_put_beside_is_found_as_soon_as_it_serves(index):
    beside = index.make(FIELDS, Label(log_id="a"))
    index.put([document(1), document(2)], beside)
    index.serve(beside)
    assert found(index) == [2, 1]


def test_an_index_left_over_by_a_start_that_died_is_passed_over(client, alias):
    client.indices.create(index=f"{alias}-000001")
    index = ElasticsearchSearchIndex(client, alias=alias)
    index.open(FIELDS)
    assert [each.name for each in index.indices()] == [f"{alias}-000002"]
    assert index.state().name == f"{alias}-000002"


def test_a_search_whose_index_is_dropped_under_it_asks_the_one_that_serves(index, client, alias, monkeypatch):
    index.put([document(1)])
    [old] = index.indices()
    new = index.make(FIELDS, Label(log_id="a"))
    index.put([document(1), document(2)], new)
    client.indices.refresh(index=new.name)
    search = index._search

    def swapped_under_it(query):
        monkeypatch.setattr(index, "_search", search)
        read = indices.fields_and_label

        def then_swap(*target):
            found = read(*target)
            monkeypatch.setattr(indices, "fields_and_label", read)
            index.serve(new)
            index.drop(old)
            return found

        monkeypatch.setattr(indices, "fields_and_label", then_swap)
        return search(query)

    monkeypatch.setattr(index, "_search", swapped_under_it)
    assert found(index) == [2, 1]


def test_indices_of_a_longer_name_are_left_alone(index, client, alias):
    other = ElasticsearchSearchIndex(client, alias=f"{alias}-other")
    other.open(FIELDS)
    assert [each.name for each in index.indices()] == [f"{alias}-000001"]
    assert other.state().documents == 0


def test_whoever_asks_the_server_directly_has_plain_text_split(index, client, alias):
    index.put([document(1, remark="Snow over O'Hare"), document(2, remark="rain")])
    client.indices.refresh(index=alias)
    for text in ("SNOW", "O'Hare!", "snow, rainless"):
        hits = client.search(index=alias, query={"match": {"text": text}})["hits"]["hits"]
        assert [hit["_source"]["position"] for hit in hits] == [1]
