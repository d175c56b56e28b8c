"""Crash points: the scenario again and again, with a fault at its first point, its second, … until there is no more.

A process "dies" by an exception that nothing catches, and none of its ports answers after it. A real child with
`os._exit` would cost half a second a run, and there are two thousand; that a real kill leaves no more behind than
this is seen by the tests with real processes (tests/integration/test_embedded_restart.py, tests/end_to_end).
"""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import get_args

from infrastructure.service import collect_rarely
from tests.reliability.faults import Action, Faults, Point
from tests.reliability.grounds import Ground, ground
from tests.reliability.history import History
from tests.reliability.scenario import PARTS, Scenario

PROCESSES = min(8, os.cpu_count() or 1)


@dataclass(slots=True)
class Report:
    """What an enumeration met: the points that were broken, the runs that it took, what did not hold."""

    points: set[Point] = field(default_factory=set)
    runs: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        """Take in what another has met."""
        self.points |= other.points
        self.runs += other.runs
        self.wrong += other.wrong

    def __str__(self) -> str:
        return f"{len(self.points)} points, {self.runs} runs, {len(self.wrong)} violations"


class Enumeration:
    """The scenario on one ground: each part run without a fault, and kept as where its faulty runs begin."""

    def __init__(self, on: Ground) -> None:
        self._ground = on
        self._before: dict[str, History] = {}
        self.clean: dict[str, Faults] = {}
        history = History()
        for part in PARTS:
            on.keep(part)
            self._before[part] = history
            faults = Faults(writes=on.writes)
            scenario = self._scenario(part, faults)
            wrong = scenario.run(part)
            assert not wrong, wrong
            self.clean[part] = faults
            history = scenario.history

    def _scenario(self, part: str, faults: Faults) -> Scenario:
        on = self._ground
        on.restore(part)
        return Scenario(on.sql, on.world, on.index, faults, self._before[part])

    def run(self, part: str, number: int, action: Action) -> Report:
        """Run a part with a fault at one occurrence; a report without a run when there is none of that number."""
        report = Report()
        faults = Faults(number, action)
        wrong = self._scenario(part, faults).run(part)
        if faults.fired is not None:
            report.runs = 1
            report.points.add(faults.fired)
            where = f"{part}, {action} at {number} ({' '.join(faults.fired)})"
            report.wrong = [f"{where}: {sentence}" for sentence in wrong]
        return report

    def plan(self) -> Iterator[tuple[str, int, Action]]:
        """Every run that tells something; of those that are like others, the first at each point.

        Up to its fault a run passes the points of the clean one.
        """
        broken: set[Point] = set()
        for part, clean in self.clean.items():
            for action in get_args(Action):
                for number, point in enumerate(clean.passed, 1):
                    if not Faults.can_happen(point, action):
                        continue
                    if point not in broken or not clean.is_like_another(number, action):
                        broken.add(point)
                        yield part, number, action

    def is_complete(self, part: str) -> bool:
        """Whether a part has no point past its last one: the run that ends the enumeration."""
        return not self.run(part, len(self.clean[part].passed) + 1, "die").runs


def run_share(server_url: str | None, share: int, shares: int) -> Report:
    """Every run whose number falls to one of several who share the work."""
    collect_rarely()
    report = Report()
    with ground(server_url) as on:
        enumeration = Enumeration(on)
        for part, number, action in islice(enumeration.plan(), share, None, shares):
            met = enumeration.run(part, number, action)
            if not met.runs:
                report.wrong.append(f"{part} did not pass its point {number} again")
            report.add(met)
        report.wrong += [f"{part} goes on past its end" for part in PARTS if not enumeration.is_complete(part)]
    return report


def run_all(server_url: str | None) -> Report:
    """Every run, on PostgreSQL or SQLite, shared by two processes."""
    report = Report()
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        for share in pool.map(run_share, [server_url] * PROCESSES, range(PROCESSES), [PROCESSES] * PROCESSES):
            report.add(share)
    return report
