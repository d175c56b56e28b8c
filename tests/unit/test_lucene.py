"""The query language: what a text means, before any index is asked."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.errors import InvalidQuery
from infrastructure.search.conditions import All, AnyOf, Between, Bound, Either, Everything, Exists, Like, Not, Words
from infrastructure.search.lucene import parse

FIELDS = {"carrier": "keyword", "delay": "double", "stops": "long", "time": "date", "cargo": "boolean"}
DAY = 86_400_000


@pytest.mark.parametrize(
    ("q", "condition"),
    [
        ("", Everything()),
        ("   ", Everything()),
        ("*", Everything()),
        ("*:*", Everything()),
        ("Snow", Words(("snow",))),
        ("  snow  ", Words(("snow",))),
        ("snow*", Words(("snow",), prefix=True)),
        ("snow\\*", Words(("snow",))),
        ('"Snow over rain"', Words(("snow", "over", "rain"))),
        ('"snow*"', Words(("snow",))),
        ("snow-fall", Words(("snow", "fall"))),
        ("a b", All((Words(("a",)), Words(("b",))))),
        ("a AND b AND c", All((Words(("a",)), Words(("b",)), Words(("c",))))),
        ("a OR b", Either((Words(("a",)), Words(("b",))))),
        ("a AND b OR c", Either((All((Words(("a",)), Words(("b",)))), Words(("c",))))),
        ("a b OR c", All((Words(("a",)), Either((Words(("b",)), Words(("c",))))))),
        ("-a", Not(Words(("a",)))),
        ("NOT a", Not(Words(("a",)))),
        ("+a", Words(("a",))),
        ("and or not to", All(tuple(Words((word,)) for word in ("and", "or", "not", "to")))),
        ("text:snow", Words(("snow",))),
        ("carrier:UA", AnyOf("carrier", ("UA",))),
        ('carrier:"U A"', AnyOf("carrier", ("U A",))),
        ('carrier:"say \\"hi\\" \\\\ *"', AnyOf("carrier", ('say "hi" \\ *',))),
        ("carrier:U\\*", AnyOf("carrier", ("U*",))),
        ("carrier:U*", Like("carrier", "U*")),
        ("carrier:*", Exists("carrier")),
        ("carrier:(UA OR U*)", Either((AnyOf("carrier", ("UA",)), Like("carrier", "U*")))),
        ("carrier:(NOT UA)", Not(AnyOf("carrier", ("UA",)))),
        ("carrier:(-UA)", Not(AnyOf("carrier", ("UA",)))),
        ("delay:5", AnyOf("delay", (5.0,))),
        ("delay:-5", AnyOf("delay", (-5.0,))),
        ("delay:(-5 OR NOT 5)", Either((AnyOf("delay", (-5.0,)), Not(AnyOf("delay", (5.0,)))))),
        ("stops:>-1", Between("stops", Bound(-1, open=True))),
        ("stops:>=-1", Between("stops", Bound(-1))),
        ("stops:<-1", Between("stops", high=Bound(-1, open=True))),
        ('"delay >-1"', Words(("delay", "1"))),
        ("stops:[-1 TO 5}", Between("stops", Bound(-1), Bound(5, open=True))),
        ("stops:{-1 TO *]", Between("stops", Bound(-1, open=True))),
        ("stops:[* TO *]", Exists("stops")),
        ("cargo:true", AnyOf("cargo", (True,))),
        ("cargo:FALSE", AnyOf("cargo", (False,))),
        ("time:1970-01-02", Between("time", Bound(DAY), Bound(2 * DAY, open=True))),
        ("time:1970-01-02T00:00:01Z", Between("time", Bound(DAY + 1000), Bound(DAY + 1001, open=True))),
        ("time:>1970-01-02", Between("time", Bound(2 * DAY))),
        ("time:<1970-01-02", Between("time", high=Bound(DAY, open=True))),
        ("time:[1970-01-02 TO 1970-01-03]", Between("time", Bound(DAY), Bound(3 * DAY, open=True))),
        ('time:"1970-01-02T01:00:00+01:00"', Between("time", Bound(DAY), Bound(DAY + 1, open=True))),
    ],
)
def test_a_query_means_this(q, condition):
    assert parse(q, FIELDS) == condition


@pytest.mark.parametrize(
    ("q", "place"),
    [
        ("a )", "character 3"),
        ("a AND OR b", "character 7"),
        ("stops:>-1 )", "character 11"),
        ("a nope:1", "character 3"),
        ("a stops:x", "character 9"),
        ("a stops:[1 TO x]", "character"),
        ("a ???", "character 3"),
        ('a "..."', "character 3"),
        ("a /b/", "character 3"),
        ("a b~", "character 3"),
        ("carrier:(a stops:1)", "character 12"),
    ],
)
def test_a_mistake_is_told_with_its_place(q, place):
    with pytest.raises(InvalidQuery, match=place) as refused:
        parse(q, FIELDS)
    assert [fault.pointer for fault in refused.value.faults] == ["/q"]


def test_an_unknown_field_is_told_with_the_known_ones_the_nearest_first():
    with pytest.raises(InvalidQuery, match=r"no field 'stop'.*known are stops, cargo, carrier, delay, time"):
        parse("stop:1", FIELDS)


def test_queries_are_read_in_many_threads_at_once():
    queries = [f"a{number} OR (b{number} stops:{number})" for number in range(50)] * 4
    alone = [parse(q, FIELDS) for q in queries]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda q: parse(q, FIELDS), queries)) == alone


def test_a_refused_query_leaves_the_next_one_alone():
    for q in ('"open', "(a", "a:b:c", "  )"):
        with pytest.raises(InvalidQuery):
            parse(q, FIELDS)
        assert parse("  a", FIELDS) == Words(("a",))


@pytest.mark.parametrize(
    "q", ["(" * 1_000 + "a" + ")" * 999, "-" * 2_000, "NOT " * 400 + "a", "(" * 999 + "a" + ")" * 999]
)
def test_hostile_queries_are_refused_and_harm_nothing(q):
    with pytest.raises(InvalidQuery):
        parse(q, FIELDS)
