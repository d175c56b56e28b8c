"""Figures: measured in rounds that take turns, told as lowest / median / highest, kept as JSON."""

import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

KEPT = Path(__file__).resolve().parents[2] / "docs/performance"
Figures = dict[str, float]
"""What one run of one contender gave, by name."""
Rounds = dict[str, list[Figures]]
"""The figures of each contender, round by round."""


def measured(contenders: Mapping[str, Callable[[], Figures]], rounds: int) -> Rounds:
    """Run every contender once a round, in turn the first: machines drift, and their ratios less."""
    found: Rounds = {name: [] for name in contenders}
    for number in range(rounds):
        for name in list(contenders)[:: -1 if number % 2 else 1]:
            figures = contenders[name]()
            found[name].append(figures)
            say(f"round {number + 1} {name}: {json.dumps({key: round(value, 3) for key, value in figures.items()})}")
    return found


def column(rounds: Sequence[Figures], name: str) -> list[float]:
    """A figure, round by round; a part that used no processor in one of them is not among its figures."""
    return [figures.get(name, 0.0) for figures in rounds]


def ratios(over: Sequence[Figures], under: Sequence[Figures], name: str) -> list[float]:
    """One contender's figure by another's, round by round."""
    return [one[name] / other[name] for one, other in zip(over, under, strict=True)]


def spread(values: Sequence[float], digits: int = 0) -> str:
    return " / ".join(f"{value:,.{digits}f}" for value in (min(values), statistics.median(values), max(values)))


def tell(found: Rounds, digits: Mapping[str, int] | None = None) -> None:
    """Print a line for each contender."""
    for name, rounds in found.items():
        told = "; ".join(f"{key} {spread(column(rounds, key), (digits or {}).get(key, 0))}" for key in rounds[0])
        print(f"{name:28} {told}", flush=True)


def keep(name: str, found: Rounds) -> None:
    """Keep figures, with the machine that they are of, in docs/performance/."""
    KEPT.mkdir(exist_ok=True)
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    text = json.dumps({"machine": machine, "rounds": found}, indent=1)
    (KEPT / f"{name}.json").write_text(text + "\n")


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
