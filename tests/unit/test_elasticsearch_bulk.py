"""Bulk writes: what each answer of the server to an item means."""

import pytest

from domain.errors import Unavailable
from infrastructure.elasticsearch.bulk import write
from infrastructure.search.entries import Entry


class Server:
    """Answers each try of a document with its next status; remembers the requests' sizes."""

    def __init__(self, **statuses: list[int]) -> None:
        self.statuses = statuses
        self.requests: list[int] = []

    def bulk(self, *, index, operations, require_alias, filter_path):
        assert require_alias
        assert filter_path == ["items.index.status", "items.index.error.reason"]
        ids = [line.split(b'"_id":"')[1].split(b'"')[0].decode() for line in operations[::2]]
        self.requests.append(len(ids))
        items = [{"status": self.statuses.get(id_, [201]).pop(0), "error": {"reason": f"because {id_}"}} for id_ in ids]
        return {"items": [{"index": item} for item in items]}


def put(server, *ids, text="", pauses=(0, 0, 0)):
    entries = [Entry(event_id=id_, version=1, hit={"event_id": id_}, values={}, text=text) for id_ in ids]
    return write(server, "playhead", entries, pauses=pauses)


def test_a_newer_document_in_the_index_is_a_success():
    assert put(Server(a=[201], b=[409], c=[200]), "a", "b", "c") == {}


@pytest.mark.parametrize("status", [400, 413])
def test_a_document_that_is_refused_is_named_with_the_reason(status):
    assert put(Server(a=[201], b=[status]), "a", "b") == {"b": "because b"}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_only_documents_without_room_are_put_again(status):
    server = Server(a=[201], b=[status, status, 201], c=[400])
    assert put(server, "a", "b", "c") == {"c": "because c"}
    assert server.requests == [3, 1, 1]


def test_no_room_again_and_again_is_unavailable():
    with pytest.raises(Unavailable, match="1 documents: because b"):
        put(Server(a=[201], b=[429] * 4), "a", "b")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_an_index_that_takes_nothing_is_unavailable_and_no_fault_of_the_document(status):
    with pytest.raises(Unavailable, match="because a"):
        put(Server(a=[status]), "a")


def test_large_documents_travel_in_several_requests():
    server = Server(**{id_: [201] for id_ in "abcde"})
    assert put(server, *"abcde", text="word " * 600_000) == {}
    assert server.requests == [2, 2, 1]


def test_many_documents_travel_in_several_requests():
    ids = [f"id{number}" for number in range(2_500)]
    server = Server(**{id_: [201] for id_ in ids})
    assert put(server, *ids) == {}
    assert server.requests == [1_000, 1_000, 500]
