"""What every keeper of the search index promises about aggregations: over all that match, alike in each."""

import pytest

from application.ports.search_index import Aggregation, SearchQuery
from domain.errors import InvalidQuery
from infrastructure.search.request import MAX_AGGS
from tests.contracts.search_suite import FIELDS, document, found, keepers


def aggregate(index, q="", **aggregation):
    answer = index.search(SearchQuery(q=q, size=1, aggs={"it is [one]": Aggregation(**aggregation)}))
    return answer.aggs["it is [one]"]


def counts(answer):
    return [(bucket["key"], bucket["count"]) for bucket in answer["buckets"]]


def stats(count, low, high, total):
    return {
        "count": count,
        "min": low,
        "max": high,
        "avg": pytest.approx(total / count) if count else None,
        "sum": pytest.approx(total),
    }


def test_terms_come_by_count_then_by_key(library):
    answer = aggregate(library, kind="terms", field="carrier")
    assert counts(answer) == [("B6", 2), ("UA", 2), ("AA", 1), ("ua", 1)]
    assert counts(aggregate(library, kind="terms", field="carrier", size=1)) == [("B6", 2)]
    assert answer["buckets"][0].keys() == {"key", "count"}


def test_a_document_counts_once_for_each_of_its_values(library):
    assert counts(aggregate(library, kind="terms", field="tags")) == [("day", 2), ("night", 2), ("early", 1)]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("stops", [(1, 2), (0, 1), (2, 1)]),
        ("arr_delay", [(200.0, 2), (-5.0, 1), (0.0, 1), (15.5, 1)]),
        ("cargo", [(False, 1), (True, 1)]),
        (
            "departed",
            [("2013-01-05T23:59:59.999000Z", 1), ("2013-01-06T00:00:00Z", 1), ("2013-01-06T23:00:00.123000Z", 1)],
        ),
    ],
)
def test_terms_have_keys_of_the_fields_type(library, field, expected):
    answer = aggregate(library, kind="terms", field=field)
    assert counts(answer) == expected
    assert [type(bucket["key"]) for bucket in answer["buckets"]] == [type(key) for key, _ in expected]


def test_terms_may_hold_stats(library):
    answer = aggregate(library, "carrier:* OR tags:*", kind="terms", field="status", stats="arr_delay")
    assert {bucket["key"]: bucket["stats"] for bucket in answer["buckets"]} == {
        "late": stats(2, 15.5, 200.0, 215.5),
        "on_time": stats(2, -5.0, 0.0, -5.0),
        "cancelled": stats(0, None, None, 0.0),
        "diverted": stats(0, None, None, 0.0),
    }


def test_stats_of_all_of_some_and_of_none(library):
    assert aggregate(library, kind="stats", field="arr_delay") == stats(5, -5.0, 200.0, 410.5)
    assert aggregate(library, "carrier:UA", kind="stats", field="stops") == stats(2, 0, 1, 1)
    assert aggregate(library, "carrier:ua", kind="stats", field="arr_delay") == stats(0, None, None, 0.0)


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("month", [("1969-12-01T00:00:00Z", 1), ("2013-01-01T00:00:00Z", 7)]),
        # weeks begin on Monday
        ("week", [("1969-12-29T00:00:00Z", 1), ("2012-12-31T00:00:00Z", 6), ("2013-01-07T00:00:00Z", 1)]),
        ("day", [("1969-12-31T00:00:00Z", 1), *((f"2013-01-0{day}T00:00:00Z", 1) for day in range(1, 8))]),
        ("hour", [("1969-12-31T23:00:00Z", 1), *((f"2013-01-0{day}T10:00:00Z", 1) for day in range(1, 8))]),
        ("minute", [("1969-12-31T23:59:00Z", 1), *((f"2013-01-0{day}T10:00:00Z", 1) for day in range(1, 8))]),
    ],
)
def test_a_date_histogram_counts_by_interval_and_omits_empty_ones(library, interval, expected):
    assert counts(aggregate(library, kind="date_histogram", field="time", interval=interval)) == expected


def test_a_date_histogram_may_hold_stats(library):
    answer = aggregate(library, kind="date_histogram", field="time", interval="week", stats="arr_delay")
    assert [bucket["stats"] for bucket in answer["buckets"]] == [
        stats(1, 200.0, 200.0, 200.0),
        stats(4, -5.0, 200.0, 210.5),
        stats(0, None, None, 0.0),
    ]


def test_numbers_of_a_list_all_count_in_stats(library, request, tmp_path):
    with keepers(request.node.callspec.params["library"], tmp_path) as make:
        index = make()
        index.open(FIELDS | {"scores": "double"})
        index.put([document(1, scores=[1.0, 2.0, 2.0], carrier="UA"), document(2, scores=7, carrier="UA")])
        assert aggregate(index, kind="stats", field="scores") == stats(4, 1.0, 7.0, 12.0)
        [bucket] = aggregate(index, kind="terms", field="carrier", stats="scores")["buckets"]
        assert bucket == {"key": "UA", "count": 2, "stats": stats(4, 1.0, 7.0, 12.0)}
        assert found(index, "scores:<2") == [1]
        assert found(index, "scores:>2") == [2]
        assert found(index, sort="scores") == [1, 2]


def test_a_search_has_few_aggregations(library):
    def asked(count: int) -> SearchQuery:
        return SearchQuery(aggs={str(number): Aggregation(kind="stats", field="stops") for number in range(count)})

    assert len(library.search(asked(MAX_AGGS)).aggs) == MAX_AGGS
    with pytest.raises(InvalidQuery, match="20 aggregations"):
        library.search(asked(MAX_AGGS + 1))
