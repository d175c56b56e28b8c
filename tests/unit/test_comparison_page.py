"""The page of a comparison: everything that was counted, nothing from elsewhere, nothing run that an event brought."""

from typing import Any

from application.use_cases.comparing import Comparison, DifferenceClass
from interfaces.cli.comparison_page import comparison_page


def page_of(comparison: Comparison) -> str:
    told, code = "1,290 of 1,300 events", "the <b>code</b>"
    return comparison_page(comparison, title="Replay 7", told=told, code=code, fingerprints={"flights": ["f" * 64]})


LATE = DifferenceClass(
    pipeline="flights", node="classify", place="/outputs/classify/status", words="late → on_time", old="late",
    new="on_time", events=1204, examples=["01a1feb2-57e1-7000-8500-8f1dab08800a"],
)  # fmt: skip


def page(**members: Any) -> str:
    return page_of(Comparison(compared=1290, identical=86, different=1204, **members))


def test_a_page_says_what_was_counted() -> None:
    found = page(classes=[LATE], different_by_day={"2013-01-02": 4, "2013-01-01": 1200}, noise=("/outputs/n/at",))

    for words in (
        "1,290 of 1,300", "<b>86</b> identical", "<b>1,204</b> different", "late → on_time", LATE.examples[0],
        "classify", "/outputs/classify/status", "most: 1,200", "/outputs/n/at", "f" * 64, 'title="2013-01-01: 1,200"',
    ):  # fmt: skip
        assert words in found
    assert found.index("2013-01-01") < found.index("2013-01-02")


def test_a_page_needs_nothing_else() -> None:
    found = page(classes=[LATE])

    assert not any(word in found for word in ("http:", "https:", "<script", "<link", "<img", "@import", "url("))


def test_what_events_bring_is_text_and_no_markup() -> None:
    evil = DifferenceClass(
        pipeline="<b>p</b>", node="<i>", place="/outputs/<img>", words="<script>alert(1)</script>",
        old="<svg onload=x>", new={"a": "</code><script>"}, events=1, examples=["<u>"],
    )  # fmt: skip

    found = page(classes=[evil], noise=("<table>",))

    for words in ("<b>p", "<b>c", "<i>", "<img>", "<script", "<svg", "<u>"):
        assert words not in found.partition("</style>")[2].replace('<i style="background', "")


def test_a_page_of_nothing_different_is_short() -> None:
    found = page_of(Comparison(compared=1300, identical=1300))

    assert "<b>1,300</b> identical" in found
    assert "What differs" not in found


def test_long_values_are_cut() -> None:
    long = DifferenceClass(
        pipeline="p", node="n", place="/", words="another text", old="x" * 999, new=None, events=1, examples=["e"]
    )

    assert "x" * 199 + "…" in page(classes=[long])
    assert "x" * 201 not in page(classes=[long])
