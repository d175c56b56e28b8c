"""How fast a year of flights is replayed, with and without its contexts, and what that takes of memory."""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from application.subscription import Selection
from application.use_cases.promoting import promote_replay
from application.use_cases.replay import get_replay
from domain.context import digest_of
from infrastructure import logging
from scripts.benchmarks import flights
from scripts.benchmarks.figures import spread
from scripts.benchmarks.site import BIN, container_of, environment_of

MONTHS = 12
PROCESSES = 2


def measure_year(modes: list[str], rounds: int, months: int) -> None:
    logging.configure("json", "warning")
    for mode in modes:
        with ExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            environment = environment_of(mode, home, stack, search=False)
            events = _fill(environment, months)
            rows = [_round(environment, events) for _ in range(rounds)]
            for row in rows:
                print(f"{mode}: {json.dumps(row)}", file=sys.stderr)
            column = {name: [row[name] for row in rows] for name in rows[0]}
            print(f"{mode:9} {events:,} events; plan of all {spread(column['plan'], 2)} s")
            print(
                f"{mode:9} with {PROCESSES} processes: without writes {spread(column['dry'], 0)} events/s; "
                f"with contexts {spread(column['appended'], 0)} events/s from the first to the last context, "
                f"{spread(column['command'], 0)} for the whole command; "
                f"{spread(column['mib'], 0)} MiB a process at most"
            )
            print(f"{mode:9} promotion, its index built: {_promotion(environment):.3f} s from switch to switch")


def _fill(environment: Mapping[str, str], months: int) -> int:
    """Append the month again and again, each time shifted by 31 days."""
    subprocess.run([BIN / "playhead", "db", "upgrade"], env=environment, check=True, stdout=subprocess.DEVNULL)
    container: Any = container_of(environment)
    for batch in flights.new_events(months):
        container.events().append(batch)
    head: int = container.events().head()
    container.store().close()
    return head


def _round(environment: Mapping[str, str], events: int) -> dict[str, float]:
    began = time.perf_counter()
    planned = _command(environment, "replay", "plan", "--all", "--json")
    plan = time.perf_counter() - began
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        list(pool.map(_ready, range(PROCESSES)))
        bounds = [events * share // PROCESSES for share in range(PROCESSES + 1)]
        began = time.perf_counter()
        assert sum(pool.map(_run_dry, [environment] * PROCESSES, bounds, bounds[1:])) == events
        dry = time.perf_counter() - began
    began = time.perf_counter()
    mib = _watched(environment, "replay", "run", str(planned["id"]), "--workers", str(PROCESSES), "--json")
    command = time.perf_counter() - began
    appended = _appending(environment)
    return {"plan": plan, "dry": events / dry, "appended": events / appended, "command": events / command, "mib": mib}


def _appending(environment: Mapping[str, str]) -> float:
    """Seconds between the first and the last context of the newest replay, by the database's clock."""
    container: Any = container_of(environment)
    contexts, newest = container.contexts(), container.replays().list()[0].id
    [first] = contexts.read(Selection(where={"generation": newest}), limit=1)
    [last] = contexts.read(Selection(after=contexts.head() - 1), limit=1)
    container.store().close()
    seconds: float = (last.recorded_at - first.recorded_at).total_seconds()
    return seconds


def _ready(_: int) -> None:
    time.sleep(0.5)  # so that each process of the pool has one


def _run_dry(environment: Mapping[str, str], after: int, last: int) -> int:
    container: Any = container_of(environment)
    registry, done = container.registry(), 0
    for event in container.events().stream(Selection(after=after, last=last)):
        digest_of(registry.prepared(registry.get_pipeline(event).name).run(event).result_json)
        done += 1
    return done


def _command(environment: Mapping[str, str], *arguments: str) -> Any:
    done = subprocess.run([BIN / "playhead", *arguments], env=environment, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def _watched(environment: Mapping[str, str], *arguments: str) -> float:
    """Run a command; the most memory that it, or one of its children, had resident."""
    process = subprocess.Popen([BIN / "playhead", *arguments], env=environment, stdout=subprocess.DEVNULL)
    most, over = [0.0], threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            for pid in (process.pid, *_children(process.pid)):
                most[0] = max(most[0], _peak(pid))

    looking = threading.Thread(target=look)
    looking.start()
    code = process.wait()
    over.set()
    looking.join()
    assert code == 0, f"{arguments} ended with {code}"
    return most[0]


def _children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _peak(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def _promotion(environment: Mapping[str, str]) -> float:
    """Seconds from the commit of the store's switch to the end of the index's."""
    container: Any = container_of(environment)
    container.claims().register(container.subscriptions().values())
    container.indexer().open()
    while container.engine().turn("index", seconds=5):
        pass
    newest = container.replays().list()[0].id
    builder = container.index_builder()
    builder.build((newest,))
    promote_replay(get_replay(newest, replays=container.replays()), builder=builder, auditor=container.auditor())
    switched = time.perf_counter()
    taken = switched - _committed_at(container, switched)
    container.store().close()
    return taken


def _committed_at(container: Any, now: float) -> float:
    """When the last promotion was committed, on the clock of `time.perf_counter`."""
    age = (container.events().now() - container.promotions().current().at).total_seconds()
    return now - age
