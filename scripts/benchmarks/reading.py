"""Reading back from a million events: pages of events over HTTP, and pages of a search."""

import random
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

from scripts.benchmarks import flights
from scripts.benchmarks.figures import Figures, percentile
from scripts.benchmarks.load import Sent, get
from scripts.benchmarks.site import Site
from scripts.benchmarks.stores import fill

MONTHS = 37
READS = 400
SEARCHES = 60


def pages(mode: str, months: int = MONTHS) -> dict[str, Figures]:
    """Milliseconds of a page of 50 events, and of a search's, over one connection."""
    with ExitStack() as stack:
        site = Site(mode, stack, prepare=lambda container: _fill(container, months))
        site.wait_for_index()
        head, draw = site.container.events().head(), random.Random(7)
        found = {
            "newest": ["/events?limit=50"] * READS,
            "feed": [f"/events?limit=50&after={draw.randint(0, head - 50)}" for _ in range(READS)],
            "of a type": ["/events?limit=50&type=flight.recorded"] * READS,
            "of a subject": [f"/events?limit=50&subject={draw.choice(_SUBJECTS)}" for _ in range(READS)],
            "succeeded": ["/events?limit=50&status=succeeded"] * READS,
            "search by words": [f"/search?size=50&q={quote(draw.choice(_WORDS))}" for _ in range(SEARCHES)],
            "search by field": [
                f"/search?size=50&q=status:late+AND+origin:{place}" for place in _PLACES * (SEARCHES // 3)
            ],
        }
        return {name: _figures(get(site.port, paths)) for name, paths in found.items()}


_SUBJECTS = ("UA1545", "B6725", "DL461", "AA1141")
_WORDS = ("late", "JFK", "UA late", "B6 on_time LAX", "cancelled")
_PLACES = ("JFK", "EWR", "LGA")


def _figures(sent: Sent) -> Figures:
    return {f"p{share} ms": 1000 * percentile(sent.latencies, share / 100) for share in (50, 99)}


def _fill(container: Any, months: int) -> None:
    container.claims().register(container.subscriptions().values())
    fill(container, months * flights.FLIGHTS)
