"""One event a request: how many a second, and how long each waits for its durable commit."""

import time
from contextlib import ExitStack
from itertools import islice

from application.subscription import Selection
from scripts.benchmarks import flights
from scripts.benchmarks.figures import Figures, percentile
from scripts.benchmarks.load import post
from scripts.benchmarks.site import Site

CLIENTS = (64, 16, 1)
SECONDS = 8.0
_WARM = 500


def posts(mode: str, clients: int, *, seconds: float = SECONDS) -> Figures:
    """Single POSTs to a new service whose workers run, and until the last context is committed."""
    with ExitStack() as stack:
        site = Site(mode, stack, search=False)
        waiting = flights.events(12)
        post(site.port, "/events", islice(waiting, _WARM), clients=clients)
        began = time.perf_counter()
        sent = post(site.port, "/events", waiting, clients=clients, seconds=seconds)
        _wait(site)
        return {
            "requests/s": sent.per_second,
            "p50 ms": 1000 * percentile(sent.latencies, 0.5),
            "p99 ms": 1000 * percentile(sent.latencies, 0.99),
            "events/s": len(sent.latencies) / (time.perf_counter() - began),
        }


def _wait(site: Site) -> None:
    # Follow-ups among them ask for no more.
    head = -1
    while head != (head := site.container.events().head()):
        site.wait_for(head)


def idle(mode: str, *, events: int = 200, pause: float = 0.05) -> Figures:
    """How long from a POST to its completed context, by one clock, while nothing else happens."""
    with ExitStack() as stack:
        site = Site(mode, stack, search=False)
        post(site.port, "/events", islice(flights.events(), _WARM), clients=1)
        _wait(site)
        time.sleep(1)
        before, sent_at = site.container.events().head(), []
        for line in islice(flights.events(), _WARM, _WARM + events):
            time.sleep(pause)
            sent_at.append(time.time())
            post(site.port, "/events", [line], clients=1)
        _wait(site)
        found = site.container.events().read(Selection(where={"type": "flight.recorded"}, after=before), limit=events)
        taken = [
            context.recorded_at.timestamp() - began
            for event, began in zip(found, sent_at, strict=True)
            for context in site.container.contexts().of_event(event.position)
        ]
        return {"p50 ms": 1000 * percentile(taken, 0.5), "p99 ms": 1000 * percentile(taken, 0.99)}
