"""Soak: a steady stream for half an hour, and what grows meanwhile that should not."""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count, islice
from pathlib import Path
from typing import Any

from sqlalchemy import text

from scripts.benchmarks import flights
from scripts.benchmarks.figures import Figures
from scripts.benchmarks.load import post
from scripts.benchmarks.site import Site

MINUTES = 30
BATCH, BATCHES_A_SECOND = 100, 20
"""2,000 events a second, which is a tenth of what two cores can: more commits an event, and so more dead rows."""
SINGLES_A_SECOND = 20
_SAMPLE_SECONDS = 10.0
_SMALL = ("claims", "heads", "subscriptions")
_DEAD = text(
    "SELECT relname, n_dead_tup, pg_total_relation_size(relid) FROM pg_stat_user_tables WHERE relname = ANY(:names)"
)


def steady(minutes: float) -> dict[str, list[Figures]]:
    """Samples: resident memory by process, dead rows and bytes of the tables that are updated in place."""
    with ExitStack() as stack:
        site = Site("scale", stack, search=False)
        end = time.perf_counter() + 60 * minutes
        senders = [
            threading.Thread(target=_send, args=(site.port, BATCH, BATCHES_A_SECOND, end), daemon=True),
            threading.Thread(target=_send, args=(site.port, 1, SINGLES_A_SECOND, end), daemon=True),
        ]
        began = time.perf_counter()
        for sender in senders:
            sender.start()
        samples: list[Figures] = []
        while time.perf_counter() < end:
            time.sleep(_SAMPLE_SECONDS)
            samples.append({"minutes": (time.perf_counter() - began) / 60, **_sample(site)})
        for sender in senders:
            sender.join()
        site.wait_for(site.container.events().head())
        site.require_one_context_each()
        return {"soak": samples}


def growth_of(samples: list[Figures], name: str) -> float:
    """What a figure grew by in ten minutes, by least squares, after the first sixth of the time."""
    later = samples[len(samples) // 6 :]
    minutes, values = [each["minutes"] for each in later], [each[name] for each in later]
    return 10 * statistics.linear_regression(minutes, values).slope


def _send(port: int, batch: int, a_second: int, end: float) -> None:
    post(
        port,
        "/events/batch" if batch > 1 else "/events",
        _paced(batch, a_second, end),
        clients=2,
        content_type=flights.NDJSON if batch > 1 else "application/json",
    )


def _paced(batch: int, a_second: int, end: float) -> Iterator[bytes]:
    waiting = flights.events(10_000)
    began = time.perf_counter()
    for number in count():
        due = began + number / a_second
        if due > end:
            return
        time.sleep(max(0.0, due - time.perf_counter()))
        yield b"\n".join(islice(waiting, batch))


def _sample(site: Site) -> Figures:
    found: Figures = {"events": float(site.container.events().head())}
    backlogs = site.container.claims().backlog(flights.PIPELINES).values()
    found["backlog"] = float(sum(each.head - each.cursor + each.claimed for each in backlogs))
    for name, pid in site.processes.items():
        for part, each in ((name, pid), *((f"{name} child", child) for child in _children(pid))):
            for kind in ("Rss", "Pss"):
                # Of a worker's children the larger.
                found[f"{part} {kind} MiB"] = max(found.get(f"{part} {kind} MiB", 0.0), _memory(each, kind))
    database: Any = site.container.store().database
    with database.reading() as connection:
        for name, dead, size in connection.execute(_DEAD, {"names": list(_SMALL)}):
            found |= {f"{name} dead": float(dead), f"{name} KiB": size / 1024}
    return found


def _children(pid: int) -> list[int]:
    return sorted(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def _memory(pid: int, kind: str) -> float:
    """MiB: resident, or in proportion, where a page that n processes share counts as a part in n of each."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")) / 1024
