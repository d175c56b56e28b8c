"""Run the simulator over many seeds, or show the steps of one."""

import argparse
import os
import sys
import time

from tests.reliability.simulator.seeds import Summary, run_seeds
from tests.reliability.simulator.simulation import simulate

SHOWN = 10
"""Failing seeds that are named."""


def main() -> int:
    arguments = _parser().parse_args()
    if arguments.trace is not None:
        return _show(arguments.trace)
    first, _, last = arguments.seeds.partition("..")
    return _run(range(int(first), int(last or int(first) + 1)), arguments.jobs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seeds", metavar="A..B", help="run the seeds from A up to, not including, B")
    what.add_argument("--trace", metavar="SEED", type=int, help="run one seed and print each of its steps")
    parser.add_argument("--jobs", metavar="N", type=int, default=os.cpu_count() or 1, help="processes to share them")
    return parser


def _show(seed: int) -> int:
    outcome = simulate(seed)
    print(*outcome.trace, sep="\n")
    print(f"\n{outcome.weather}\n{outcome.steps:,} steps, {outcome.events} events, trace {outcome.digest}")
    print(*(outcome.wrong or ["nothing is wrong"]), sep="\n")
    return int(bool(outcome.wrong))


def _run(seeds: range, jobs: int) -> int:
    began, summary = time.monotonic(), Summary()
    for part in run_seeds(seeds, processes=jobs):
        summary.add(part)
        if sys.stderr.isatty():
            print(f"\r{summary}", end="", file=sys.stderr)
    print(f"{summary} in {time.monotonic() - began:,.0f} s")
    print(", ".join(f"{name} {count:,}" for name, count in sorted(summary.faults.items())))
    for seed, sentence in summary.failed[:SHOWN]:
        print(f"seed {seed}: {sentence}")
    if summary.failed:
        print(f"scripts/simulate --trace {summary.failed[0][0]} shows its steps.")
    return int(bool(summary.failed))


if __name__ == "__main__":
    sys.exit(main())
