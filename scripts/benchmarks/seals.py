"""What sealing costs, and how long it takes to verify 100,000 events and their contexts; see docs/performance.md."""

import json
import resource
import sys
import time
from contextlib import ExitStack
from typing import Any

from sqlalchemy import insert

from application.use_cases.sealing import LOGS, SEALING, seal_next
from application.use_cases.verifying import VerifyLogs, verify
from infrastructure.sql.models import SubscriptionRow
from scripts.benchmarks.bulk import one_run
from scripts.benchmarks.figures import spread
from scripts.benchmarks.stores import fill, opened

EVENTS = 100_000


def measure_seals(modes: list[str], rounds: int) -> None:
    measure_verify(["sqlite", "postgres"] if "scale" in modes else ["sqlite"])
    for mode in modes:
        rounds_of: dict[str, list[dict[str, float]]] = {"with": [], "without": []}
        for number in range(rounds):
            # Interleaved, and in turn the first: machines drift.
            for name in sorted(rounds_of, reverse=bool(number % 2)):
                began = _seconds_of_children()
                figures = one_run(mode, prepare=_PREPARE[name])
                figures["cpu_seconds"] = round(_seconds_of_children() - began, 2)
                rounds_of[name].append(figures)
                print(f"round {number + 1} {mode} {name} sealing: {json.dumps(figures)}", file=sys.stderr)
        for name, found in rounds_of.items():
            rate, cpu = ([each[figure] for each in found] for figure in ("events/s", "cpu_seconds"))
            print(f"{mode:9} {name:7} sealing: {spread(rate, 0)} events/s; {spread(cpu, 2)} s of CPU in our processes")


def _seconds_of_children() -> float:
    """CPU seconds of our processes that have ended, starts included, servers not; others' load changes them less."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _no_sealing(container: Any) -> None:
    """Put the cursors of the sealing subscriptions where no log ends, so that they have nothing to do."""
    cursors = [{"name": name, "log": log, "cursor": 2**31 - 1} for name, log in SEALING.items()]
    with container.store().database.writing() as connection:
        connection.execute(insert(SubscriptionRow), cursors)


_PREPARE = {"with": lambda _: None, "without": _no_sealing}


def measure_verify(databases: list[str]) -> None:
    for database in databases:
        with ExitStack() as stack:
            container = opened(database, stack)
            fill(container, EVENTS)
            store = container.store()
            seconds = _seal(store)
            print(f"{database:9} {EVENTS:,} events and as many contexts sealed: {seconds:.2f} s of work")
            for name, logs in (("events", LOGS[:1]), ("both logs", LOGS)):
                taken = []
                for _ in range(5):
                    began = time.perf_counter()
                    found = verify(VerifyLogs(logs=logs), seals=store.seals, log_ids=store.log_ids, anchor=None)
                    taken.append(time.perf_counter() - began)
                    assert all(each.verified == EVENTS and not each.findings for each in found)
                print(f"{database:9} verify, {name}: {spread(taken, 2)} s")


def _seal(store: Any) -> float:
    began = time.perf_counter()
    for log in LOGS:
        while seal_next(log, seals=store.seals):
            pass
    return time.perf_counter() - began
