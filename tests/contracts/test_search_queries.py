"""What every keeper of the search index promises about answers: one language, the same hits."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from random import Random

import pytest

from application.ports.search_index import Aggregation, SearchQuery
from domain.errors import InvalidQuery
from infrastructure.memory.search_index import MemorySearchIndex
from tests.contracts.search_suite import FIELDS, LIBRARY, found

QUESTIONS = {
    "": {1, 2, 3, 4, 5, 6, 7, 8},
    "*": {1, 2, 3, 4, 5, 6, 7, 8},
    "*:*": {1, 2, 3, 4, 5, 6, 7, 8},
    # words
    "snow": {2, 3},
    "SNOW": {2, 3},
    "snow rain": {3},
    "snow AND rain": {3},
    "snow OR rain": {2, 3, 4},
    "snow AND NOT rain": {2},
    "snow -rain": {2},
    "+snow +rain": {3},
    "NOT snow": {1, 4, 5, 6, 7, 8},
    "-snow -rain": {1, 5, 6, 7, 8},
    "NOT (snow OR rain)": {1, 5, 6, 7, 8},
    "over (snow OR rain)": {2, 4},
    "over snow OR rain": {2, 4},
    "snow AND over OR miles": {2, 4},
    '"snow over"': {2},
    '"over snow"': set(),
    "text:snow": {2, 3},
    'text:("snow over" OR rain)': {2, 3, 4},
    "snow*": {2, 3, 6},
    "SNOWF*": {6},
    "o'hare": {2},
    "O'H*": {2},
    '"over o\'hare again"': {2},
    "hare": set(),
    "3.14": {4},
    "3": set(),
    "größe": {6},
    "GRÖSSE": set(),
    "grosse": set(),
    "東": {6},
    "東京": {6},
    "京東": set(),
    "on_time": {1, 5, 6},
    "snow-ra*": set(),
    "then-ra*": {3},
    "night": {3, 8},
    '"day night"': set(),  # two strings of one list are no phrase
    '"early day"': set(),
    "flights": set(),  # the envelope's strings are not words of the document
    "nyc": set(),
    "ua": {1, 2, 4},
    # exact values
    "carrier:UA": {1, 2},
    "carrier:ua": {4},
    "carrier:(UA OR AA)": {1, 2, 3},
    "carrier:(UA AA)": set(),
    'remark:"snow, then rain"': {3},
    "remark:snow": set(),
    "tags:day": {1, 8},
    "tags:(day AND night)": {8},
    "-tags:day": {2, 3, 4, 5, 6, 7},
    "tags:*": {1, 3, 8},
    "NOT tags:*": {2, 4, 5, 6, 7},
    "carrier:U*": {1, 2},
    "carrier:?A": {1, 2, 3},
    "carrier:*A": {1, 2, 3},
    "carrier:[A TO C]": {3, 5, 6},
    "carrier:>=UA": {1, 2, 4},
    "tags:ni*": {3, 8},
    "remark:*\\**": {7},
    "remark:*50%*": {7},
    'remark:"*"': set(),
    "gate:\\[*": {7},
    "gate:*\\]": {7},
    'subject:"a:b (c)"': {7},
    "subject:a\\:b\\ \\(c\\)": {7},
    "type:flight.very_late": {8},
    "position:3": {3},
    'event_id:"01940000-0000-7000-8000-000000000004"': {4},
    "event_id:01940000-0000-7000-8000-000000000004": {4},
    "stops:1": {2, 5},
    "stops:[1 TO 2]": {2, 3, 5},
    "stops:[1 TO 2}": {2, 5},
    "stops:{0 TO 2}": {2, 5},
    "stops:{0 TO *]": {2, 3, 5},
    "stops:[* TO *]": {1, 2, 3, 5},
    "stops:>1": {3},
    "stops:(>0 AND <2)": {2, 5},
    "arr_delay:200": {3, 8},
    "arr_delay:15.5": {2},
    "arr_delay:-5": {1},
    "arr_delay:(-5 OR 0)": {1, 5},
    "-arr_delay:-5": {2, 3, 4, 5, 6, 7, 8},
    "arr_delay:>=-5 arr_delay:<1": {1, 5},
    "arr_delay:>-5": {2, 3, 5, 8},
    "arr_delay:[-10 TO -1]": {1},
    "arr_delay:[* TO 0}": {1},
    "arr_delay:>1e2": {3, 8},
    "cargo:true": {2},
    "cargo:false": {1},
    "-cargo:true": {1, 3, 4, 5, 6, 7, 8},
    "cargo:*": {1, 2},
    # times
    "time:2013-01-03": {3},
    'time:"2013-01-03T10:00:00Z"': {3},
    "time:2013-01-03T10:00:00Z": {3},
    'time:"2013-01-03T12:00:00+02:00"': {3},
    "time:2013-01-03T10:00:01Z": set(),
    "time:[2013-01-02 TO 2013-01-03]": {2, 3},
    "time:[2013-01-02 TO 2013-01-03}": {2},
    "time:{2013-01-02 TO 2013-01-04]": {3, 4},
    "time:>=2013-01-06": {6, 7},
    "time:>2013-01-06": {7},
    "time:<2013-01-02": {1, 8},
    "time:<=2013-01-02": {1, 2, 8},
    "time:[2013-01-02T10:00:00Z TO 2013-01-03T10:00:00Z}": {2},
    "time:<1970-01-01": {8},
    "departed:2013-01-05": {5},
    "departed:2013-01-06": {6, 7},
    "departed:2013-01-06T23:00:00.123Z": {7},
}


@pytest.mark.parametrize("q", QUESTIONS)
def test_a_query_finds_these_documents(library, q):
    assert set(found(library, q)) == QUESTIONS[q]


FILTERS = [
    ({"carrier": "UA"}, {1, 2}),
    ({"carrier": ["UA", "AA"]}, {1, 2, 3}),
    ({"carrier": "U*"}, set()),
    ({"carrier": "UA", "status": "late"}, {2}),
    ({"status": "late", "arr_delay": {"gte": 15}, "carrier": ["UA", "AA"]}, {2, 3}),
    ({"arr_delay": {"gt": 15.5, "lte": 200}}, {3, 8}),
    ({"arr_delay": {"lt": 0}}, {1}),
    ({"stops": "1"}, {2, 5}),
    ({"stops": [0, 2]}, {1, 3}),
    ({"cargo": True}, {2}),
    ({"tags": ["early", "night"]}, {1, 3, 8}),
    ({"time": "2013-01-03"}, {3}),
    ({"time": ["2013-01-03", "2013-01-04T10:00:00Z"]}, {3, 4}),
    ({"time": {"gte": "2013-01-06", "lt": "2013-01-07"}}, {6}),
]


@pytest.mark.parametrize(("filters", "expected"), FILTERS, ids=str)
def test_a_filter_keeps_these_documents(library, filters, expected):
    assert set(found(library, filters=filters)) == expected


def test_query_and_filters_hold_together(library):
    assert found(library, "snow OR rain", filters={"status": "late"}, sort="position") == [2, 3]


WRONG = [
    (SearchQuery(q="carier:UA"), "/q", "carier.*known are carrier, "),
    (SearchQuery(q="snow AND"), "/q", "ends too early"),
    (SearchQuery(q="(snow"), "/q", "ends too early"),
    (SearchQuery(q="snow )"), "/q", "character 6"),
    (SearchQuery(q='say "snow'), "/q", "character 5"),
    (SearchQuery(q="stops:many"), "/q", "character 7.*whole number.*'many'"),
    (SearchQuery(q="snow stops:[1 TO x]"), "/q", "'stops' at character"),
    (SearchQuery(q="stops:1*"), "/q", "only a keyword"),
    (SearchQuery(q="arr_delay:nan"), "/q", "finite number"),
    (SearchQuery(q="cargo:perhaps"), "/q", "true or false"),
    (SearchQuery(q="time:[now-1d TO *]"), "/q", "RFC 3339"),
    (SearchQuery(q="s*w"), "/q", "quote|hold no other"),
    (SearchQuery(q="*now"), "/q", "hold no other"),
    (SearchQuery(q='"!!!"'), "/q", "no word"),
    (SearchQuery(q="snow~2"), "/q", "no fuzzy"),
    (SearchQuery(q='"snow rain"~3'), "/q", "no words in proximity"),
    (SearchQuery(q="snow^2"), "/q", "no weights"),
    (SearchQuery(q="/sn.w/"), "/q", "no regular"),
    (SearchQuery(q="carrier:a:b"), "/q", "inside another"),
    (SearchQuery(q="[1 TO 2]"), "/q", "needs a field"),
    (SearchQuery(q=">2"), "/q", "needs a field"),
    (SearchQuery(q="(" * 30 + "snow" + ")" * 30), "/q", "nested"),
    (SearchQuery(q="NOT " * 30 + "snow"), "/q", "nested"),
    (SearchQuery(q="snow " * 1_000), "/q", "2,000"),
    (SearchQuery(filters={"carier": "UA"}), "/filters/carier", "known are carrier"),
    (SearchQuery(filters={"carrier": 5}), "/filters/carrier", "string"),
    (SearchQuery(filters={"carrier": None}), "/filters/carrier", "string"),
    (SearchQuery(filters={"carrier": []}), "/filters/carrier", "list of 1"),
    (SearchQuery(filters={"stops": {"from": 1}}), "/filters/stops", "gte or gt"),
    (SearchQuery(filters={"stops": {"gt": 1, "gte": 1}}), "/filters/stops", "gte or gt"),
    (SearchQuery(filters={"stops": {}}), "/filters/stops", "gte or gt"),
    (SearchQuery(filters={"stops": 2**63}), "/filters/stops", "64 bits"),
    (SearchQuery(filters={"text": "snow"}), "/filters/text", "no field 'text'"),
    (SearchQuery(sort="carier"), "/sort", "known are carrier"),
    (SearchQuery(sort="-text"), "/sort", "no field 'text'"),
    (SearchQuery(size=1_001), "/size", "1,000"),
    (SearchQuery(size=-1), "/size", "1,000"),
    (SearchQuery(cursor="!!"), "/cursor", "not one of ours"),
    (SearchQuery(cursor="bm9uc2Vuc2U"), "/cursor", "not one of ours"),
    (SearchQuery(cursor="W10"), "/cursor", "not one of ours"),
    (SearchQuery(cursor="é"), "/cursor", "not one of ours"),
    (SearchQuery(aggs={"a": Aggregation(kind="stats", field="carrier")}), "/aggs/a/field", "numbers"),
    (SearchQuery(aggs={"a": Aggregation(kind="stats", field="nope")}), "/aggs/a/field", "no field"),
    (SearchQuery(aggs={"a": Aggregation(kind="terms", field="text")}), "/aggs/a/field", "no field"),
    (SearchQuery(aggs={"a": Aggregation(kind="terms", field="carrier", size=0)}), "/aggs/a/size", "1 to"),
    (SearchQuery(aggs={"a": Aggregation(kind="terms", field="carrier", stats="time")}), "/aggs/a/stats", "numbers"),
    (SearchQuery(aggs={"a": Aggregation(kind="date_histogram", field="stops")}), "/aggs/a/field", "needs a date"),
]


@pytest.mark.parametrize(
    ("value", "position"),
    [("1" * 30, "1"), ("1", "1" * 30), ("NaN", "1"), (r'"\ud800"', "1"), ("[" * 100_000, "1"), ("1", "true")],
    ids=["value", "position", "NaN", "surrogate", "nested", "bool"],
)
def test_a_forged_cursor_is_refused(library, value, position):
    real = library.search(SearchQuery(sort="position", size=1)).cursor
    digest = json.loads(urlsafe_b64decode(real + "=="))[0]
    forged = urlsafe_b64encode(f'["{digest}",{value},{position}]'.encode()).decode()

    with pytest.raises(InvalidQuery, match="not one of ours"):
        library.search(SearchQuery(sort="position", size=1, cursor=forged))


@pytest.mark.parametrize(("query", "pointer", "words"), WRONG, ids=str)
def test_what_cannot_be_understood_is_refused_at_its_place(library, query, pointer, words):
    with pytest.raises(InvalidQuery, match=words) as refused:
        library.search(query)
    assert [fault.pointer for fault in refused.value.faults] == [pointer]


def test_without_words_the_newest_come_first(library):
    assert found(library) == [8, 7, 6, 5, 4, 3, 2, 1]
    assert found(library, "carrier:UA") == [2, 1]


SORTED = [
    ("position", [1, 2, 3, 4, 5, 6, 7, 8]),
    ("arr_delay", [1, 5, 2, 8, 3, 7, 6, 4]),
    ("-arr_delay", [8, 3, 2, 5, 1, 7, 6, 4]),
    ("carrier", [3, 6, 5, 2, 1, 4, 8, 7]),
    ("-carrier", [4, 2, 1, 6, 5, 3, 8, 7]),
    ("stops", [1, 5, 2, 3, 8, 7, 6, 4]),
    ("cargo", [1, 2, 8, 7, 6, 5, 4, 3]),
    ("-cargo", [2, 1, 8, 7, 6, 5, 4, 3]),
    ("time", [8, 1, 2, 3, 4, 5, 6, 7]),
    ("-departed", [7, 6, 5, 8, 4, 3, 2, 1]),
    ("tags", [8, 1, 3, 7, 6, 5, 4, 2]),
    ("-tags", [8, 3, 1, 7, 6, 5, 4, 2]),
]


@pytest.mark.parametrize(("sort", "expected"), SORTED)
def test_a_sort_puts_missing_values_last_and_newest_first_among_equals(library, sort, expected):
    assert found(library, sort=sort) == expected


@pytest.mark.parametrize("size", [1, 3, 8])
@pytest.mark.parametrize("sort", [None, *(sort for sort, _ in SORTED)])
def test_pages_put_together_are_the_whole_answer(library, sort, size):
    seen, cursor = [], None
    for _ in range(9):
        answer = library.search(SearchQuery(sort=sort, size=size, cursor=cursor))
        assert answer.total == 8
        seen += [hit["position"] for hit in answer.hits]
        cursor = answer.cursor
        if cursor is None:
            break
    assert seen == found(library, sort=sort)


def test_pages_by_relevance_hold_each_hit_once(library):
    seen, cursor = [], None
    while cursor or not seen:
        answer = library.search(SearchQuery(q="snow OR rain OR day", size=1, cursor=cursor))
        seen += [hit["position"] for hit in answer.hits]
        cursor = answer.cursor
    assert sorted(seen) == [1, 2, 3, 4, 8]


def test_a_cursor_is_bound_to_its_query(library):
    cursor = library.search(SearchQuery(q="-snow", sort="carrier", size=1)).cursor
    library.search(SearchQuery(q="-snow", sort="carrier", size=5, cursor=cursor))
    for other in (
        SearchQuery(q="-rain", sort="carrier", cursor=cursor),
        SearchQuery(q="-snow", cursor=cursor),
        SearchQuery(q="-snow", sort="carrier", filters={"stops": 1}, cursor=cursor),
    ):
        with pytest.raises(InvalidQuery, match="another query"):
            library.search(other)


def test_of_size_0_there_are_no_hits_but_all_else(library):
    answer = library.search(SearchQuery(q="snow", size=0, aggs={"a": Aggregation(kind="stats", field="stops")}))
    assert (answer.hits, answer.cursor, answer.total) == ([], None, 2)
    assert answer.aggs["a"]["sum"] == 3


def random_query(chance: Random, depth: int = 3) -> str:
    if depth and chance.random() < 0.6:
        left, right = random_query(chance, depth - 1), random_query(chance, depth - 1)
        return chance.choice([f"({left} OR {right})", f"({left} AND {right})", f"({left} {right})", f"NOT {left}"])
    return chance.choice(
        [
            "snow",
            "rain*",
            '"snow over"',
            "on_time",
            "day",
            "carrier:UA",
            "carrier:[A TO Z]",
            "tags:(day OR night)",
            "tags:*",
            "stops:>0",
            "stops:[0 TO 1}",
            "arr_delay:<=15.5",
            "arr_delay:-5",
            "cargo:true",
            "status:*e*",
            "time:<=2013-01-03",
            "departed:*",
            "time:{2013-01-02 TO 2013-01-06]",
            "remark:*\\[*",
            "o'*",
        ]
    )


def test_random_queries_find_what_their_plain_meaning_finds(library):
    plain = MemorySearchIndex()
    plain.open(FIELDS)
    plain.put(LIBRARY)
    chance = Random(20130101)
    for _ in range(150):
        q = random_query(chance)
        assert found(library, q, sort="position") == found(plain, q, sort="position"), q
