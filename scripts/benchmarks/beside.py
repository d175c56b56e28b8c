"""What a replay at full speed takes from live traffic; see docs/performance.md."""

import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from application.subscription import Selection
from scripts.benchmarks import flights
from scripts.benchmarks.figures import percentile, spread
from scripts.benchmarks.load import post
from scripts.benchmarks.site import BIN, Site, running

EVENTS = flights.FLIGHTS + flights.FOLLOW_UPS
SLOW, SLOW_RATE = 100, 20
"""Events that are sent one by one to see how long each takes, and how many of them a second."""


def measure_replay(modes: list[str], rounds: int, workers: int) -> None:
    for mode in modes:
        found: dict[str, list[dict[str, float]]] = {"alone": [], "beside": []}
        for number in range(rounds):
            with ExitStack() as stack:
                stage = Stage(mode, stack)
                for _ in range(2):
                    stage.month()  # what is replayed takes longer than what is measured beside it
                # In turn the first: machines drift.
                for name in sorted(found, reverse=bool(number % 2)):
                    figures = stage.measured(workers if name == "beside" else 0)
                    found[name].append(figures)
                    print(f"round {number + 1} {mode} {name}: {json.dumps(figures)}", file=sys.stderr)
        for name, rows in found.items():
            columns = {figure: [row[figure] for row in rows] for figure in rows[0]}
            print(
                f"{mode:9} {name:7} {spread(columns['live_per_second'], 0)} live events/s; one live event takes "
                f"{spread(columns['median_ms'], 1)} ms (median), {spread(columns['p95_ms'], 1)} ms (95 %); "
                f"replayed meanwhile {spread(columns['replayed_per_second'], 0)}/s"
            )
        shares = [
            beside["live_per_second"] / alone["live_per_second"]
            for alone, beside in zip(found["alone"], found["beside"], strict=True)
        ]
        print(f"{mode:9} live events/s beside a replay: {spread([100 * share for share in shares], 0)} % of alone")


class Stage:
    """A service that is measured alone and beside a replay."""

    def __init__(self, mode: str, stack: ExitStack) -> None:
        self.site = Site(mode, stack)
        self.container: Any = self.site.container
        self.replay_id = 0

    def month(self) -> float:
        """Send the month, and wait until all of it has ended; seconds."""
        began, goal = time.perf_counter(), self.container.events().head() + EVENTS
        post(self.site.port, "/events/batch", flights.ndjson(), clients=2, content_type=flights.NDJSON)
        self.site.wait_for(goal)
        return time.perf_counter() - began

    @contextmanager
    def replaying(self, workers: int) -> Iterator[None]:
        """Run a replay of all there is for as long as the block runs; with no workers there is none."""
        with ExitStack() as stack:
            if workers:
                self.start_replay(workers, stack)
            yield
            if workers and json.loads(self.site.command("replay", "status", str(self.replay_id), "--json"))["done"]:
                print("the replay was done before the live events were", file=sys.stderr)

    def start_replay(self, workers: int, stack: ExitStack) -> None:
        self.replay_id = json.loads(self.site.command("replay", "plan", "--all", "--json"))["id"]
        arguments = ["replay", "run", str(self.replay_id), "--workers", str(workers)]
        log = self.site.home / "replay.log"
        stack.enter_context(running([str(BIN / "playhead"), *arguments], self.site.environment, log))
        stack.callback(setattr, self, "replay_id", 0)
        while not self.replayed():
            time.sleep(0.05)

    def replayed(self) -> int:
        if not self.replay_id:
            return 0
        return sum(count for _, _, count in self.container.contexts().summary(self.replay_id))

    def measured(self, workers: int) -> dict[str, float]:
        with self.replaying(workers):
            slow = self.latencies()
        with self.replaying(workers):
            before = self.replayed()
            seconds = self.month()
            replayed = self.replayed() - before
        return {
            "live_per_second": round(EVENTS / seconds),
            "median_ms": round(1000 * statistics.median(slow), 1),
            "p95_ms": round(1000 * percentile(slow, 0.95), 1),
            "replayed_per_second": round(replayed / seconds),
        }

    def latencies(self) -> list[float]:
        """Seconds from the commit of each of some events to that of its context, by the database's clock."""
        before, began = self.container.events().head(), time.perf_counter()
        for number, line in enumerate(flights.month()[:SLOW]):
            time.sleep(max(0.0, began + number / SLOW_RATE - time.perf_counter()))
            post(self.site.port, "/events", [line], clients=1)
        # Follow-ups among them end too.
        head = -1
        while head != (head := self.container.events().head()):
            self.site.wait_for(head)
            time.sleep(0.5)
        sent = self.container.events().read(Selection(where={"type": "flight.recorded"}, after=before), limit=SLOW)
        found = []
        for event in sent:
            [context] = [row for row in self.container.contexts().of_event(event.position) if row.generation == 0]
            found.append((context.recorded_at - event.recorded_at).total_seconds())
        return found
