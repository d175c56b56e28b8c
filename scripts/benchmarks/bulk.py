"""Bulk: batches of 500 from the first POST to the last context, and until the index lags by nothing."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from scripts.benchmarks import flights
from scripts.benchmarks.figures import Figures
from scripts.benchmarks.load import post
from scripts.benchmarks.processors import accounted
from scripts.benchmarks.site import Site
from scripts.benchmarks.stores import opened

SENDERS = 2


def send_months(site: Site, bodies: list[bytes], content_type: str, months: int, *, search: bool) -> Figures:
    """Send months of flights and wait for what becomes of them."""
    used: dict[str, float] = {}
    before = site.container.events().head()
    total, follow_ups = months * flights.FLIGHTS, months * flights.FOLLOW_UPS
    with accounted(site.processes, used):
        began = time.perf_counter()
        sent = post(site.port, "/events/batch", bodies, clients=SENDERS, content_type=content_type)
        site.wait_for(before + total + follow_ups)
        ended = time.perf_counter() - began
    figures = {"events/s": total / ended, "accepted/s": total / sent.seconds}
    if search:
        with accounted(site.processes, used):
            site.wait_for_index()
            figures["events/s to the index"] = total / (time.perf_counter() - began)
    site.require_one_context_each()
    return figures | {f"µs {part}": 1e6 * seconds / total for part, seconds in used.items() if seconds > 0.01}


def one_run(
    mode: str,
    *,
    form: str = "ndjson",
    months: int = 1,
    search: bool = True,
    prepare: Callable[[Any], None] = lambda _: None,
) -> Figures:
    """Months of flights sent to a new service."""
    bodies = flights.ndjson(months) if form == "ndjson" else flights.cloudevents(months)
    content_type = flights.NDJSON if form == "ndjson" else flights.CLOUDEVENTS
    with ExitStack() as stack:
        site = Site(mode, stack, search=search, prepare=prepare)
        return send_months(site, bodies, content_type, months, search=search)


def append_alone(months: int) -> Figures:
    """The same events into the log of the embedded service, with nothing before and nothing behind it."""
    batches = list(flights.new_events(months))
    with ExitStack() as stack:
        log = opened("sqlite", stack).events()
        began = time.perf_counter()
        for batch in batches:
            log.append(batch)
        return {"events/s": sum(map(len, batches)) / (time.perf_counter() - began)}


def contenders(months: int) -> dict[str, Callable[[], Figures]]:
    return {
        "scale": partial(one_run, "scale", months=months, search=False),
        "scale, CloudEvents": partial(one_run, "scale", months=months, form="cloudevents", search=False),
        "scale, Elasticsearch": partial(one_run, "scale", months=months),
        "embedded": partial(one_run, "embedded", months=months),
        "embedded, append alone": partial(append_alone, months),
    }
