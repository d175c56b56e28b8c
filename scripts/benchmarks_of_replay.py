"""What a replay at full speed takes from live traffic; see docs/performance.md."""

import gzip
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from application.subscription import Selection
from scripts.benchmarks import (
    BIN,
    MONTH,
    PATIENCE,
    container_of,
    environment_of,
    free_port,
    month_bodies,
    running,
    send,
    spread,
    wait_for_worker,
    wait_until_ready,
)

EVENTS = 27_004 + 626
"""A month's flights, and their follow-ups."""
SLOW, SLOW_RATE = 100, 20
"""Events that are sent one by one to see how long each takes, and how many of them a second."""


def measure_replay(modes: list[str], rounds: int, workers: int) -> None:
    for mode in modes:
        found: dict[str, list[dict[str, float]]] = {"alone": [], "beside": []}
        for number in range(rounds):
            with ExitStack() as stack:
                site = Site(mode, stack)
                for _ in range(2):
                    site.month()  # what is replayed takes longer than what is measured beside it
                # In turn the first: machines drift.
                for name in sorted(found, reverse=bool(number % 2)):
                    figures = site.measured(workers if name == "beside" else 0)
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


class Site:
    """A service on a store of its own."""

    def __init__(self, mode: str, stack: ExitStack) -> None:
        self.home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.port = free_port()
        self.environment = environment_of(mode, self.home, stack)
        self.command("db", "upgrade")
        commands = [["dev" if mode == "embedded" else "serve", "--port", str(self.port)]]
        if mode == "scale":
            commands += [["worker"], ["beat"]]
        for command in commands:
            log = self.home / f"{command[0]}.log"
            stack.enter_context(running([str(BIN / "playhead"), *command], self.environment, log))
        wait_until_ready(self.port)
        if mode == "scale":
            wait_for_worker(self.environment)
        self.container: Any = container_of(self.environment)
        stack.callback(self.container.store().close)
        self.replay_id = 0

    def command(self, *arguments: str) -> str:
        done = subprocess.run(
            [BIN / "playhead", *arguments], env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    def month(self) -> float:
        """Send the month, and wait until all of it has ended; seconds."""
        began, goal = time.perf_counter(), self.container.events().head() + EVENTS
        send(month_bodies(), self.port)
        self.wait_for(goal)
        return time.perf_counter() - began

    def wait_for(self, head: int) -> None:
        """Wait until all events up to this head are stored and have ended."""
        names = ["flights", "very_late"]
        deadline = time.perf_counter() + PATIENCE
        while True:
            backlogs = self.container.claims().backlog(names).values()
            if all(each.head == head and each.cursor == head and not each.claims for each in backlogs):
                return
            if time.perf_counter() > deadline:
                raise SystemExit(f"not done after {PATIENCE} s: {backlogs}")
            time.sleep(0.02)

    @contextmanager
    def replaying(self, workers: int) -> Iterator[None]:
        """Run a replay of all there is for as long as the block runs; with no workers there is none."""
        with ExitStack() as stack:
            if workers:
                self.start_replay(workers, stack)
            yield
            if workers and json.loads(self.command("replay", "status", str(self.replay_id), "--json"))["done"]:
                print("the replay was done before the live events were", file=sys.stderr)

    def start_replay(self, workers: int, stack: ExitStack) -> None:
        self.replay_id = json.loads(self.command("replay", "plan", "--all", "--json"))["id"]
        arguments = ["replay", "run", str(self.replay_id), "--workers", str(workers)]
        log = self.home / "replay.log"
        stack.enter_context(running([str(BIN / "playhead"), *arguments], self.environment, log))
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
            "p95_ms": round(1000 * statistics.quantiles(slow, n=20)[-1], 1),
            "replayed_per_second": round(replayed / seconds),
        }

    def latencies(self) -> list[float]:
        """Seconds from the commit of each of some events to that of its context, by the database's clock."""
        lines = gzip.decompress(MONTH.read_bytes()).splitlines()[:SLOW]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        before, began = self.container.events().head(), time.perf_counter()
        for number, line in enumerate(lines):
            time.sleep(max(0.0, began + number / SLOW_RATE - time.perf_counter()))
            connection.request("POST", "/events", line, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 202:
                raise SystemExit(f"an event was answered {answer.status}")
        connection.close()
        # Follow-ups among them end too.
        head = -1
        while head != (head := self.container.events().head()):
            self.wait_for(head)
            time.sleep(0.5)
        sent = self.container.events().read(Selection(where={"type": "flight.recorded"}, after=before), limit=SLOW)
        found = []
        for event in sent:
            [context] = [row for row in self.container.contexts().of_event(event.position) if row.generation == 0]
            found.append((context.recorded_at - event.recorded_at).total_seconds())
        return found
