"""Seeds: many simulations, shared by several processes of this machine, and what they came to."""

import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from infrastructure.service import collect_rarely
from tests.reliability.simulator.simulation import simulate

CHUNK = 50
PROCESSES = min(8, os.cpu_count() or 1)


@dataclass(slots=True)
class Summary:
    """Seeds that were run, added up. `failed` has each seed that found something, and its first finding."""

    seeds: int = 0
    steps: int = 0
    fewest_steps: int = 1_000_000
    events: int = 0
    hours: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[int, str]] = field(default_factory=list)
    digests: dict[int, str] = field(default_factory=dict)

    def add(self, other: "Summary") -> None:
        """Take in others."""
        self.seeds += other.seeds
        self.steps += other.steps
        self.fewest_steps = min(self.fewest_steps, other.fewest_steps)
        self.events += other.events
        self.hours += other.hours
        self.faults += other.faults
        self.failed += other.failed
        self.digests |= other.digests

    def __str__(self) -> str:
        return (
            f"{self.seeds:,} seeds, {self.steps:,} steps, {self.events:,} events, {self.hours:,.1f} virtual hours, "
            f"{self.faults.total():,} faults, {len(self.failed)} violations"
        )


def run_chunk(seeds: Sequence[int]) -> Summary:
    """Run some seeds here."""
    collect_rarely()
    summary = Summary()
    for seed in seeds:
        outcome = simulate(seed)
        summary.add(
            Summary(
                seeds=1,
                steps=outcome.steps,
                fewest_steps=outcome.steps,
                events=outcome.events,
                hours=outcome.seconds / 3600,
                faults=outcome.faults,
                failed=[(seed, outcome.wrong[0])] if outcome.wrong else [],
                digests={seed: outcome.digest},
            )
        )
    return summary


def run_seeds(seeds: Sequence[int], *, processes: int = PROCESSES, chunk: int = CHUNK) -> Iterator[Summary]:
    """Run seeds in fresh processes; a summary as each chunk is done."""
    chunks = [seeds[begin : begin + chunk] for begin in range(0, len(seeds), chunk)]
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(run_chunk, chunks)
