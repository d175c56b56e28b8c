"""Indexing: a full backlog of contexts carried to Elasticsearch, beside raw bulk requests of the same documents."""

import time
from contextlib import ExitStack
from typing import Any

from scripts.benchmarks import flights, limits
from scripts.benchmarks.figures import Figures
from scripts.benchmarks.processors import accounted
from scripts.benchmarks.site import Site
from scripts.benchmarks.stores import fill

INDEX = "index"


def backlog(months: int) -> dict[str, Figures]:
    """The service's documents a second, and those of a loop that does nothing else."""
    with ExitStack() as stack:
        site = Site("scale", stack, prepare=lambda container: _fill(container, months))
        contexts = site.container.contexts().head()
        used: dict[str, float] = {}
        began = time.perf_counter()
        with accounted(site.processes, used):
            site.container.controls().resume([INDEX])
            site.container.dispatcher().ring(INDEX)
            site.wait_for_index()
        seconds = time.perf_counter() - began
        ours = {"documents/s": contexts / seconds}
        ours |= {f"µs {part}": 1e6 * spent / contexts for part, spent in used.items() if spent > 0.01}
        return {"indexer": ours, "raw _bulk": limits.bulk(site.container)}


def _fill(container: Any, months: int) -> None:
    container.claims().register(container.subscriptions().values())
    container.controls().pause([INDEX])
    fill(container, months * flights.FLIGHTS)
