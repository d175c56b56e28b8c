"""Figures: what the harnesses came to, told at the end of the test run."""

said: dict[str, str] = {}
_counts: dict[str, int] = {}


def say(what: str, figure: str) -> None:
    """Keep a line for the end."""
    said[what] = figure


def count(what: str, most: int) -> None:
    """One more of so many."""
    _counts[what] = _counts.get(what, 0) + 1
    say(what, f"{_counts[what]} of {most}")
