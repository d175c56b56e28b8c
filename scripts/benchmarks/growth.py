"""Growth: whether a service with millions of stored events is as fast as one with few.

The index and the seals are paused: they would be millions of rows behind here, as they never are where a log grew.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context

from application.use_cases.results import INDEX
from application.use_cases.sealing import SEALING
from scripts.benchmarks import flights
from scripts.benchmarks.bulk import send_months
from scripts.benchmarks.figures import Figures, say
from scripts.benchmarks.site import Site, container_of, database
from scripts.benchmarks.stores import append

FEW, MANY = 100_000, 5_000_000
MONTHS = 4
_PROCESSES = 2


def contenders(stack: ExitStack, stored: tuple[int, ...] = (FEW, MANY)) -> dict[str, Callable[[], Figures]]:
    """Months of flights on top of what is stored, for each number of stored events; all at scale, without search."""
    return {f"{events:,} stored": partial(_sent_on_top, _filled(events, stack)) for events in stored}


def _sent_on_top(url: str) -> Figures:
    with ExitStack() as stack:
        site = Site("scale", stack, search=False, database_url=url)
        return send_months(site, flights.ndjson(MONTHS), flights.NDJSON, MONTHS, search=False)


def _filled(events: int, stack: ExitStack) -> str:
    """The URL of a database with so many flights that have run. The statistics are as autovacuum keeps them."""
    url = database(stack)
    environment = {"DATABASE_URL": url}
    container = container_of(environment)
    container.store().upgrade()
    container.claims().register(container.subscriptions().values())
    container.controls().pause([INDEX, *SEALING])
    append(container, events)
    with ProcessPoolExecutor(_PROCESSES, mp_context=get_context("spawn")) as pool:
        list(pool.map(_work_off, [environment] * _PROCESSES))
    container.store().close()
    _work_off(environment)  # what one of them asked for when the other had looked
    say(f"{events:,} events are stored and have run")
    return url


def _work_off(environment: dict[str, str]) -> None:
    container = container_of(environment)
    engine = container.engine()
    for name in (*flights.PIPELINES, "follow-ups", *flights.PIPELINES):
        while engine.turn(name, seconds=600):
            pass
    container.store().close()
