"""What every keeper of the search index promises about keeping: versions, rejections, fields, other processes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from pydantic_core import to_json

from application.ports.search_index import ENVELOPE, Label, SearchQuery, version_of
from domain.errors import Misconfigured, Unavailable
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


LABEL = Label(log_id="a")


def test_an_index_beside_takes_documents_of_its_own_and_answers_once_it_serves(index):
    index.put([document(1, carrier="UA", tags=["a", "b"])])
    beside = index.make({"carrier": "long"}, Label(log_id="a", view=(3,), whole=False, until=7))
    index.put([document(1, version=1, carrier=5)], beside)

    assert found(index, "carrier:UA") == [1]
    before, after = index.indices()
    assert (before.serves, after) == (True, beside)
    assert (beside.serves, beside.label) == (False, Label(log_id="a", view=(3,), whole=False, until=7))

    index.serve(beside)
    assert found(index, "carrier:5") == [1]
    assert index.search(SearchQuery()).label == beside.label
    assert [each.serves for each in index.indices()] == [False, True]
    index.serve(before)
    assert found(index, "carrier:UA") == [1]


def test_another_keeper_sees_which_index_serves(index, other):
    index.serve(index.make(FIELDS, LABEL))
    index.put([document(2)])
    assert found(other()) == [2]
    assert other().state().label == LABEL


def test_an_index_that_was_dropped_takes_nothing_and_cannot_serve(index, other):
    beside = index.make(FIELDS, LABEL)
    other().put([document(2)], beside)
    index.drop(beside)
    index.drop(beside)
    for keeper in (index, other()):
        assert len(keeper.indices()) == 1
        for attempt in (
            lambda keeper=keeper: keeper.put([document(1)], beside),
            lambda keeper=keeper: keeper.serve(beside),
            lambda keeper=keeper: keeper.label(LABEL, beside),
            lambda keeper=keeper: keeper.state(beside),
            lambda keeper=keeper: list(keeper.documents(beside, after=None, last=None)),
        ):
            with pytest.raises(Unavailable):
                attempt()


def test_an_index_that_serves_is_not_dropped(index):
    [serving] = index.indices()
    index.put([document(1)])
    index.drop(serving)
    assert found(index) == [1]


def test_a_dropped_index_is_not_meant_by_what_is_made_after_it(index):
    dropped = index.make(FIELDS, LABEL)
    index.drop(dropped)
    made = index.make(FIELDS, LABEL)
    with pytest.raises(Unavailable):
        index.put([document(1)], dropped)
    assert index.state(made).documents == 0


def test_every_index_gets_the_fields_that_it_lacks(index):
    beside = index.make({}, LABEL)
    index.open({"runway": "keyword"})
    index.put([document(1, runway="B12")], beside)
    index.serve(beside)
    assert found(index, "runway:B12") == [1]


def test_what_an_index_has_is_read_by_position_and_is_what_was_expected(index):
    [serving] = index.indices()
    documents = [
        document(n, version=version_of(n + 10, rank=n % 2), departed="2013-01-07", stops=n) for n in range(1, 8)
    ]
    documents.append(document(8, stops="many"))
    index.put([*documents, document(3, version=1, stops=99)])

    def stored(after, last):
        rows = sorted(index.documents(serving, after=after, last=last), key=lambda row: row.hit["position"])
        return [(row.event_id, row.version, to_json(row.hit)) for row in rows]

    expected = [(row.event_id, row.version, to_json(row.hit)) for row in index.expected(documents, serving)]
    assert stored(None, None) == expected
    assert stored(2, 5) == expected[2:5]
    assert stored(None, 2) == expected[:2]
    assert stored(7, None) == expected[7:]
    assert index.state().context == 17


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


def test_many_may_make_at_once(index, other):
    with ThreadPoolExecutor(3) as threads:
        made = list(threads.map(lambda _: other().make(FIELDS, LABEL), range(3)))
    assert len({each.key for each in made}) == 3
    for number, each in enumerate(made, 1):
        index.put([document(number)], each)
    for number, each in enumerate(made, 1):
        index.serve(each)
        assert found(index) == [number]


def test_of_many_that_are_to_serve_at_once_one_does(index, other):
    made = [index.make(FIELDS, LABEL) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda each: other().serve(each), made))
    assert [each.serves for each in index.indices()].count(True) == 1


def test_an_index_keeps_its_label(index, other):
    assert index.state().label is None
    index.label(Label(log_id="a"))
    index.label(Label(log_id="b", view=(4, 1), whole=False, until=9))
    index.put([document(1), document(3, version=70)])
    index.put([document(2)])
    another = other()
    another.open({**FIELDS, "added": "long"})
    assert (
        another.state().label
        == another.search(SearchQuery()).label
        == Label(log_id="b", view=(4, 1), whole=False, until=9)
    )
    assert another.state().context == 70
