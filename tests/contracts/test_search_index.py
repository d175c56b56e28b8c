"""What every keeper of the search index promises about keeping: versions, rejections, fields, other processes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from application.ports.search_index import ENVELOPE, SearchQuery
from domain.errors import Misconfigured
from tests.contracts.search_suite import FIELDS, KEEPERS, document, event_id, found, keepers


@pytest.fixture(params=KEEPERS)
def other(request, tmp_path):
    """Makes another keeper of the same index."""
    with keepers(request.param, tmp_path) as make:
        yield make


@pytest.fixture
def index(other):
    index = other()
    index.open(FIELDS)
    return index


def hits(index, q=""):
    return index.search(SearchQuery(q=q)).hits


def test_a_document_is_found_with_its_envelope_and_its_own_fields(index):
    index.put([document(1, carrier="UA", arr_delay=3.5, tags=["a", "b"], cargo=True, stops=None)])
    [hit] = hits(index)
    assert hit == {
        "event_id": event_id(1),
        "position": 1,
        "type": "flight.recorded",
        "source": "nyc",
        "subject": "flight 1",
        "time": "2013-01-01T10:00:00Z",
        "pipeline": "flights",
        "generation": 0,
        "carrier": "UA",
        "arr_delay": 3.5,
        "tags": ["a", "b"],
        "cargo": True,
        "stops": None,
    }


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2013-01-07T01:00:00.123456+02:00", "2013-01-06T23:00:00.123456Z"),
        ("2013-01-07", "2013-01-07T00:00:00Z"),
        ("2013-01-07T01:00:00", "2013-01-07T01:00:00Z"),
        (datetime(2013, 1, 7, 1, tzinfo=UTC), "2013-01-07T01:00:00Z"),
    ],
)
def test_dates_are_shown_in_one_form(index, given, shown):
    index.put([document(1, departed=given)])
    assert hits(index)[0]["departed"] == shown


def test_the_words_are_not_shown(index):
    index.put([document(1, remark="some words")])
    assert "text" not in hits(index)[0]


def test_fields_that_nobody_opened_are_shown_and_cannot_be_searched(index):
    index.put([document(1, secret="word")])
    assert hits(index)[0]["secret"] == "word"
    assert found(index, "word") == []


def test_a_newer_version_replaces_and_an_older_is_passed_over(index):
    index.put([document(1, version=5, carrier="UA", tags=["old", "older"], remark="first")])
    assert index.put([document(1, version=4, carrier="AA")]) == []
    assert found(index, "carrier:UA") == [1]
    index.put([document(1, version=6, carrier="B6")])
    assert found(index) == found(index, "carrier:B6") == [1]
    assert found(index, "first") == found(index, "tags:old") == found(index, "carrier:UA") == []


def test_the_same_version_may_be_put_again(index):
    for carrier in ("UA", "AA"):
        index.put([document(1, version=5, carrier=carrier)])
    assert found(index, "carrier:AA") == [1]


def test_of_twins_in_one_put_the_newest_is_kept(index):
    index.put([document(1, version=2, carrier="AA"), document(1, version=3, carrier="B6"), document(1, version=1)])
    assert found(index) == found(index, "carrier:B6") == [1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stops", "many"),
        ("stops", 1.5),
        ("stops", 2**63),
        ("stops", True),
        ("arr_delay", "late"),
        ("arr_delay", {"minutes": 5}),
        ("arr_delay", 10**400),
        ("cargo", "maybe"),
        ("cargo", 1),
        ("departed", "yesterday"),
        ("departed", 5),
        ("departed", "2013-02-30"),
        ("carrier", 5),
        ("carrier", ["UA", ["AA"]]),
    ],
)
def test_a_document_that_does_not_fit_its_fields_is_reduced_and_reported_and_others_are_kept(index, field, value):
    [rejection] = index.put([document(1, **{"remark": "words", field: value}), document(2, carrier="UA")])
    assert rejection.event_id == event_id(1)
    assert field in rejection.reason
    assert found(index) == [2, 1]
    assert found(index, "words") == []
    assert hits(index, "position:1")[0].keys() == ENVELOPE.keys()


def test_a_reduced_document_is_replaced_by_a_newer_one(index):
    assert index.put([document(1, version=1, stops="many")])
    assert index.put([document(1, version=2, stops=2)]) == []
    assert found(index, "stops:2") == [1]


def test_a_very_long_string_is_kept_and_its_words_are_found(index):
    text = "word " * 2_000 + "end"
    assert index.put([document(1, remark=text), document(2, remark="x" * 8191)]) == []
    assert found(index, "end") == [1]
    assert found(index, "remark:*") == [2]
    assert found(index, filters={"remark": text}) == []
    assert hits(index, "position:1")[0]["remark"] == text


def test_a_very_long_word_is_found_by_its_beginning(index):
    index.put([document(1, remark="x" * 1_000)])
    assert found(index, "xxx*") == found(index, "x" * 1_000) == [1]


def test_opening_again_keeps_documents_and_adds_fields(index):
    index.put([document(1, carrier="UA")])
    index.open({"runway": "keyword"})
    index.open({})
    index.put([document(2, runway="B12")])
    assert found(index, "runway:B12") == [2]
    assert found(index, "-runway:*") == found(index, "carrier:UA") == [1]


def test_opening_an_index_that_holds_nothing_says_so_before_it_takes_a_document(other):
    said = []
    other().open(FIELDS, anew=lambda: said.append("empty"))
    assert said
    index = other()
    index.put([document(1, carrier="UA")])
    said.clear()
    index.open(FIELDS, anew=lambda: said.append("empty"))
    assert said == []


def test_another_keeper_knows_the_fields_that_one_added(index, other):
    second = other()
    index.open({"runway": "keyword"})
    index.put([document(1, runway="B12")])
    assert found(second, "runway:B12") == [1]


def test_names_that_differ_in_case_are_two_fields(index):
    index.open({"ID": "keyword", "id": "long", "Select": "keyword", "rowid": "long"})
    index.put([document(1, ID="x", id=7, Select="y", rowid=8)])
    assert found(index, "ID:x id:7 Select:y rowid:8") == [1]


@pytest.mark.parametrize("field", ["carrier", "time", "text"])
def test_a_field_with_another_type_stops_the_start_and_is_named(index, field):
    with pytest.raises(Misconfigured, match=repr(field)):
        index.open({field: "long"})


def test_starting_anew_leaves_no_document_and_no_old_field(index):
    index.put([document(1, carrier="UA", tags=["a", "b"])])
    index.start_anew({"carrier": "long"})
    assert found(index) == []
    assert index.state().documents == 0
    index.put([document(1, version=1, carrier=5)])
    assert found(index, "carrier:5") == [1]


def test_an_index_may_be_started_anew_before_it_was_opened(other):
    index = other()
    index.start_anew(FIELDS)
    index.put([document(1, carrier="UA")])
    assert found(index, "carrier:UA") == [1]


def test_the_state_counts_documents(index):
    assert index.state().documents == 0
    index.put([document(1), document(2), document(1, version=3)])
    state = index.state()
    assert state.documents == 2
    assert state.name
    if state.updated_at:
        assert timedelta(0) <= datetime.now(UTC) - state.updated_at < timedelta(minutes=1)


def test_an_empty_put_is_nothing(index):
    assert index.put([]) == []


def test_many_may_open_at_once(other):
    with ThreadPoolExecutor(8) as threads:
        for opened in [threads.submit(lambda: other().open(FIELDS)) for _ in range(8)]:
            opened.result()
    index = other()
    index.put([document(1, carrier="UA")])
    assert found(index, "carrier:UA") == [1]


def test_many_may_put_and_search_at_once_and_the_newest_version_stays(index, other):
    def put(version):
        other().put([document(position, version=version, stops=version) for position in range(1, 21)])
        return len(found(index))

    with ThreadPoolExecutor(8) as threads:
        assert all(count == 20 for count in threads.map(put, range(40, 0, -1)))
    assert found(index, "stops:40", sort="position") == list(range(1, 21))


def test_many_may_start_anew_at_once(index, other):
    with ThreadPoolExecutor(3) as threads:
        for started in [threads.submit(lambda: other().start_anew(FIELDS)) for _ in range(3)]:
            started.result()
    index.put([document(1, carrier="UA")])
    assert found(index, "carrier:UA") == [1]
    assert index.state().documents == 1


def test_an_index_keeps_the_label_of_its_log_until_it_begins_anew(index, other):
    assert index.state().log_id is None
    index.label("a")
    index.label("b")
    index.put([document(1), document(3, version=70)])
    index.put([document(2)])
    another = other()
    another.open({**FIELDS, "added": "long"})
    assert (another.state().log_id, another.state().version) == ("b", 70)
    assert another.search(SearchQuery()).log_id == "b"
    index.start_anew(FIELDS)
    assert (index.state().log_id, index.state().version, index.search(SearchQuery()).log_id) == (None, 0, None)
