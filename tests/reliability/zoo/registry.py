"""The bug zoo: deliberate breaks of a guarantee, each planted from here, and which harness must catch it.

A plant replaces a rule of the code under test, or of an adapter, for as long as its patch lasts. Nothing in the
service knows of it.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import pytest

from tests.reliability.crash_points import Enumeration
from tests.reliability.simulator.simulation import simulate

Harness = Literal["simulator", "crash points"]
Plant = Callable[[pytest.MonkeyPatch], None]
SEEDS = 400
"""Within how many seeds the simulator must find a bug."""


@dataclass(frozen=True, slots=True)
class Bug:
    """A bug: its name, who must catch it, how it shows (a pattern of the first finding), how it is planted.

    `parts` are those of the crash points' scenario in which it shows.
    """

    name: str
    harness: Harness
    shows: str
    plant: Plant
    parts: tuple[str, ...] = ()


ZOO: list[Bug] = []


def bug(name: str, *, shows: str, parts: tuple[str, ...] = ()) -> Callable[[Plant], Plant]:
    """Put a plant into the zoo: for the crash points where it names parts of their scenario, else for the simulator."""

    def put(plant: Plant) -> Plant:
        ZOO.append(Bug(name, "crash points" if parts else "simulator", shows, plant, parts))
        return plant

    return put


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """The bug is there for as long as the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        bug.plant(patch)
        yield


def found_by_seeds(bug: Bug) -> str | None:
    """The first finding of the simulator that shows the bug, else its first one; None when it finds nothing.

    A bug does many things. That it is caught at all is the point; that it is also called by its name is asked for, so
    that a finding of something else is not taken for this one.
    """
    first = None
    with planted(bug):
        for seed in range(SEEDS):
            for sentence in simulate(seed).wrong:
                found = f"seed {seed}: {sentence}"
                if re.search(bug.shows, sentence):
                    return found
                first = first or found
    return first


def found_by_points(bug: Bug, enumeration: Enumeration) -> str | None:
    """The first finding of the crash points, None when they find nothing."""
    with planted(bug):
        # Failed calls first: they show most bugs of this kind, and earlier.
        for part, number, action in sorted(enumeration.plan(), key=lambda run: run[2], reverse=True):
            report = enumeration.run(part, number, action) if part in bug.parts else None
            if report is not None and report.wrong:
                return next((sentence for sentence in report.wrong if re.search(bug.shows, sentence)), report.wrong[0])
    return None
