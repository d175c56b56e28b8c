"""Differences between two results: where, from which node on, in which words, and what does not count."""

from typing import Any

import pytest

from domain.differences import MISSING, Difference, Rules, differences


def members(outputs: dict[str, Any], effects: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"outputs": outputs, "effects": effects or []}


def found(old: Any, new: Any, **rules: Any) -> list[tuple[str, str, Any, Any]]:
    """The differences between two outputs of one node."""
    both = differences(members({"n": old}), members({"n": new}), Rules(**rules))
    return [(each.node, each.pointer, each.old, each.new) for each in both]


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "", "x", [], {}, {"a": [1, {"b": None}]}])
def test_what_is_equal_does_not_differ(value: Any) -> None:
    assert found(value, value) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"status": "late"}, {"status": "on_time"}, [("/status", "late", "on_time")]),
        ({"a": 1, "b": 2}, {"a": 1}, [("/b", 2, MISSING)]),
        ({"a": 1}, {"a": 1, "b": None}, [("/b", MISSING, None)]),
        ([1, 2, 3], [1, 9], [("/1", 2, 9), ("/2", 3, MISSING)]),
        ({"x/y~z": 1}, {"x/y~z": 2}, [("/x~1y~0z", 1, 2)]),
        (1, True, [("", 1, True)]),
        (0, False, [("", 0, False)]),
        ("1", 1, [("", "1", 1)]),
        ({"a": {"b": 1}}, {"a": [1]}, [("/a", {"b": 1}, [1])]),
        (None, {}, [("", None, {})]),
    ],
)
def test_a_difference_is_named_by_its_pointer(old: Any, new: Any, expected: list[tuple[str, Any, Any]]) -> None:
    assert found(old, new) == [("n", f"/outputs/n{pointer}", was, now) for pointer, was, now in expected]


def test_numbers_are_equal_by_value() -> None:
    assert found(1, 1.0) == []


@pytest.mark.parametrize(
    ("old", "new", "tolerance", "same"),
    [(1.0, 1.0005, 1e-3, True), (1.0, 1.002, 1e-3, False), (1e6, 1e6 + 900, 1e-3, True), (0.0, 1e-4, 1e-3, True)],
)
def test_numbers_within_the_tolerance_are_the_same(old: float, new: float, tolerance: float, *, same: bool) -> None:
    assert (found(old, new, tolerance=tolerance) == []) is same


@pytest.mark.parametrize("rule", ["/outputs/n/at", "/outputs/n", "/outputs/*/at", ""])
def test_what_is_ignored_does_not_count(rule: str) -> None:
    assert found({"at": {"deep": 1}}, {"at": {"deep": 2}}, ignored=(rule,)) == []


@pytest.mark.parametrize("rule", ["/outputs/n/a", "/outputs/m", "/effects"])
def test_a_rule_for_something_else_ignores_nothing(rule: str) -> None:
    assert len(found({"at": 1}, {"at": 2}, ignored=(rule,))) == 1


def test_differences_come_in_the_order_in_which_the_nodes_ran() -> None:
    document = {"kind": "index_document", "node": "classify", "ordinal": 0}
    old = members({"classify": 1, "gone": 1, "tell": 1}, [{**document, "document": {"status": "late"}}])
    new = members({"read": 1, "classify": 2, "tell": 2}, [{**document, "document": {"status": "early"}}])

    both = differences(old, new, Rules())

    assert [(each.node, each.pointer) for each in both] == [
        ("read", "/outputs/read"),
        ("classify", "/outputs/classify"),
        ("classify", "/effects/classify/0/document/status"),
        ("tell", "/outputs/tell"),
        ("gone", "/outputs/gone"),
    ]


def test_an_effect_is_compared_with_the_one_that_its_node_declared_at_the_same_time() -> None:
    effects = [{"node": node, "ordinal": 0, "url": node} for node in ("a", "b")]

    assert differences(members({}, effects), members({}, effects[::-1]), Rules()) == []
    [gone] = differences(members({}, effects), members({}, effects[1:]), Rules())
    assert (gone.node, gone.pointer, gone.new) == ("a", "/effects/a/0", MISSING)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("late", "on_time", "late → on_time"),
        (None, "late", "null → late"),
        (True, False, "true → false"),
        (1, 2, "another number"),
        ("id-17", "id-18", "another text"),
        ("x" * 41, "y", "text → y"),
        (MISSING, [], "nothing → a list"),
        ({}, 1, "an object → a number"),
    ],
)
def test_a_change_is_worded_by_values_that_are_few(old: Any, new: Any, words: str) -> None:
    assert Difference(node="n", pointer="/outputs/n", old=old, new=new).words == words


def test_a_place_says_nothing_of_the_numbers_of_elements() -> None:
    assert Difference(node="n", pointer="/outputs/n/0/a2/13", old=1, new=2).place == "/outputs/n/*/a2/*"
