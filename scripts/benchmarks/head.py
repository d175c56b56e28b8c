"""The head row: how many commits, and how many events, a log takes from so many processes at once.

Its lock lets one append at a time work on a log, whichever machine it comes from. So a log takes `b` events a commit in
`a + b c` seconds: `a` for a commit, its lock and its flush, `c` for a row and its indexes.
"""

import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from itertools import cycle
from multiprocessing import get_context
from typing import Any

from msgspec.structs import replace

from infrastructure.ids import new_id
from scripts.benchmarks import flights
from scripts.benchmarks.figures import Figures
from scripts.benchmarks.site import container_of, database

SECONDS = 4.0
_SOME = 2
"""Processes that keep the lock busy: with one it waits for the client."""
BATCHES = (1, 10, 100, 500)
PROCESSES = (1, 2, 4)


def appends() -> dict[str, Figures]:
    """Commits and events a second of PostgreSQL, by batch and by processes."""
    found: dict[str, Figures] = {}
    for batch in BATCHES:
        for processes in PROCESSES:
            with ExitStack() as stack:
                home = stack.enter_context(tempfile.TemporaryDirectory())
                environment = {"PLAYHEAD_HOME": home, "DATABASE_URL": database(stack)}
                container: Any = container_of(environment)
                container.store().upgrade()
                pool = stack.enter_context(ProcessPoolExecutor(processes, mp_context=get_context("spawn")))
                events = sum(pool.map(_append, [environment] * processes, [batch] * processes))
                container.store().close()
                found[_name(batch, processes)] = {"commits/s": events / batch, "events/s": events}
    return found


def costs(found: Mapping[str, Figures]) -> tuple[float, float]:
    """Seconds a commit and seconds an event, by least squares over the batches; relative errors count alike."""
    from numpy import array, polyfit  # noqa: PLC0415  # it comes with what draws the pictures

    seconds = array([1 / found[_name(batch, _SOME)]["commits/s"] for batch in BATCHES])
    an_event, a_commit = polyfit(BATCHES, seconds, 1, w=1 / seconds)
    return float(a_commit), float(an_event)


def compared(found: Mapping[str, Figures]) -> dict[int, tuple[float, float]]:
    """Events a second by batch: as measured, and as the two costs say."""
    a_commit, an_event = costs(found)
    return {batch: (found[_name(batch, _SOME)]["events/s"], batch / (a_commit + batch * an_event)) for batch in BATCHES}


def _name(batch: int, processes: int) -> str:
    return f"{batch:3} a commit, {processes} processes"


def _append(environment: Mapping[str, str], batch: int) -> float:
    """Append for some seconds; events a second."""
    container: Any = container_of(environment)
    waiting = cycle([event for some in flights.new_events() for event in some])
    log = container.events()
    log.head()
    time.sleep(1)  # until all processes are as far
    began, events = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        log.append([replace(event, id=new_id()) for event, _ in zip(waiting, range(batch), strict=False)])
        events += batch
    container.store().close()
    return events / (time.perf_counter() - began)
