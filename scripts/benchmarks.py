"""The measurements behind docs/performance.md: real processes, real input, the load generator on the same cores."""

import argparse
import gzip
import http.client
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
MONTH = ROOT / "examples/flights/data/flights-2013-01.ndjson.gz"
BATCH = 500
SENDERS = 2
PATIENCE = 300


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    month = verbs.add_parser("month", help="send 27,004 flights in batches until the last context is committed")
    month.add_argument("--on", action="append", choices=["embedded", "scale"], help="default: both")
    month.add_argument("--rounds", type=int, default=3)
    month.add_argument("--write", action="store_true", help="keep the figures in docs/performance/")
    start = verbs.add_parser("start", help="how long the commands take to start")
    start.add_argument("--rounds", type=int, default=7)
    replay = verbs.add_parser("replay", help="a year replayed; live traffic alone, and beside a replay at full speed")
    replay.add_argument("--what", choices=["year", "beside"], help="default: both")
    replay.add_argument("--months", type=int, default=12, help="how many months the year has")
    replay.add_argument("--on", action="append", choices=["embedded", "scale"], help="default: both")
    replay.add_argument("--rounds", type=int, default=3)
    replay.add_argument("--workers", type=int, default=1)
    seals = verbs.add_parser("seals", help="the month with and without sealing, and how long `verify` takes")
    seals.add_argument("--rounds", type=int, default=5)
    corpus = verbs.add_parser("corpus", help="how long an export and a check of the corpus take")
    corpus.add_argument("--rounds", type=int, default=5)
    explain = verbs.add_parser("explain", help="how long `explain` takes among many stored events")
    explain.add_argument("--on", action="append", choices=["sqlite", "postgres"], help="default: both")
    explain.add_argument("--events", type=int, default=1_000_000)
    options = parser.parse_args()
    if options.verb == "start":
        measure_start(options.rounds)
    elif options.verb == "replay":
        from scripts.benchmarks_of_replay import measure_replay  # noqa: PLC0415  # it measures by what is here
        from scripts.benchmarks_of_year import measure_year  # noqa: PLC0415  # see above

        modes = options.on or ["embedded", "scale"]
        if options.what != "beside":
            measure_year(modes, options.rounds, options.months)
        if options.what != "year":
            measure_replay(modes, options.rounds, options.workers)
    elif options.verb == "seals":
        from scripts.benchmarks_of_seals import measure_seals  # noqa: PLC0415  # it measures by what is here

        measure_seals(["embedded", "scale"], options.rounds)
    elif options.verb == "corpus":
        from scripts.benchmarks_of_corpus import measure_corpus  # noqa: PLC0415  # it measures by what is here

        measure_corpus(options.rounds)
    elif options.verb == "explain":
        from scripts.benchmarks_of_explain import measure_explain  # noqa: PLC0415  # it measures by what is here

        measure_explain(options.on or ["sqlite", "postgres"], options.events)
    else:
        measure_month(options.on or ["embedded", "scale"], options.rounds, write=options.write)


def measure_start(rounds: int) -> None:
    for arguments in (["--version"], ["--help"]):
        seconds = []
        for _ in range(rounds + 1):
            began = time.perf_counter()
            subprocess.run([BIN / "playhead", *arguments], check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - began)
        print(f"playhead {arguments[0]:10} {spread([1000 * s for s in seconds[1:]], 0)} ms")


def month_bodies() -> list[bytes]:
    lines = gzip.decompress(MONTH.read_bytes()).splitlines()
    return [b"\n".join(lines[begin : begin + BATCH]) for begin in range(0, len(lines), BATCH)]


def measure_month(modes: list[str], rounds: int, *, write: bool) -> None:
    bodies = month_bodies()
    figures: dict[str, list[dict[str, float]]] = {mode: [] for mode in modes}
    for number in range(rounds):  # interleaved, for machines drift
        for mode in modes:
            with ExitStack() as stack:
                figures[mode].append(one_month(mode, bodies, stack))
            print(f"round {number + 1} {mode}: {json.dumps(figures[mode][-1])}", file=sys.stderr)
    for mode, rows in figures.items():
        print(
            f"{mode:9} {spread([row['events_per_second'] for row in rows], 0)} events/s; "
            f"accepted {spread([row['accepted_per_second'] for row in rows], 0)}/s; "
            f"index lag 0 after another {spread([row['index_seconds'] for row in rows], 1)} s"
        )
    if write:
        target = ROOT / "docs/performance/month.json"
        target.parent.mkdir(exist_ok=True)
        machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
        target.write_text(json.dumps({"machine": machine, "figures": figures}, indent=2) + "\n")


def one_month(
    mode: str, bodies: list[bytes], stack: ExitStack, *, prepare: Callable[[object], None] = lambda _: None
) -> dict[str, float]:
    # `prepare` is handed the stores before anything runs on them.
    home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    port = free_port()
    environment = environment_of(mode, home, stack)
    subprocess.run([BIN / "playhead", "db", "upgrade"], env=environment, check=True, stdout=subprocess.DEVNULL)
    container = container_of(environment)
    prepare(container)
    commands = [["dev" if mode == "embedded" else "serve", "--port", str(port)]]
    if mode == "scale":
        commands += [["worker"], ["beat"]]
    for command in commands:
        stack.enter_context(running([str(BIN / "playhead"), *command], environment, home / f"{command[0]}.log"))
    wait_until_ready(port)
    if mode == "scale":
        wait_for_worker(environment)

    began = time.perf_counter()
    send(bodies, port)
    accepted = time.perf_counter() - began
    expected = 27_004 + 626  # the month's flights and their follow-ups
    deadline = began + PATIENCE
    while container.contexts().head() < expected:
        if time.perf_counter() > deadline:
            raise SystemExit(f"only {container.contexts().head()} contexts after {PATIENCE} s; logs in {home}")
        time.sleep(0.02)
    ended = time.perf_counter() - began
    while _index_lag(container) > 0:
        if time.perf_counter() > deadline:
            raise SystemExit(f"the index lags by {_index_lag(container)} after {PATIENCE} s; logs in {home}")
        time.sleep(0.02)
    indexed = time.perf_counter() - began
    summary = container.contexts().summary(0)
    container.store().close()
    if summary != [("flights", "completed", 27_004), ("very_late", "completed", 626)]:
        raise SystemExit(f"not every event has exactly one completed context: {summary}")
    return {
        "events_per_second": round(expected / ended),
        "accepted_per_second": round(27_004 / accepted),
        "seconds": round(ended, 3),
        "index_seconds": round(indexed - ended, 3),
    }


def container_of(environment: dict[str, str]) -> object:
    """The stores of the service that is measured; this process's own environment names others."""
    from dependency_injector import providers  # noqa: PLC0415

    from infrastructure.container import Container  # noqa: PLC0415
    from infrastructure.settings import load  # noqa: PLC0415

    named = ("playhead_home", "database_url", "celery_broker_url", "elasticsearch_url")
    settings = load(**{name: environment.get(name.upper(), "") for name in named})
    return Container(settings=providers.Object(settings))


def _index_lag(container: object) -> int:
    from application.use_cases.results import index_lag  # noqa: PLC0415

    return index_lag(claims=container.claims())  # type: ignore[attr-defined]


def environment_of(mode: str, home: Path, stack: ExitStack) -> dict[str, str]:
    from tests.postgres_databases import postgres_database  # noqa: PLC0415

    environment = {**os.environ, "PLAYHEAD_HOME": str(home), "LOG_LEVEL": "warning"}
    for name in ("DATABASE_URL", "CELERY_BROKER_URL", "ELASTICSEARCH_URL", "PIPELINES"):
        environment.pop(name, None)
    if mode == "scale":
        missing = [
            name
            for name in ("TEST_DATABASE_URL", "TEST_REDIS_URL", "TEST_ELASTICSEARCH_URL")
            if not os.environ.get(name)
        ]
        if missing:
            raise SystemExit(f'{", ".join(missing)} not set. Run: eval "$(scripts/services start)"')
        environment["DATABASE_URL"] = stack.enter_context(postgres_database(os.environ["TEST_DATABASE_URL"]))
        environment["CELERY_BROKER_URL"] = os.environ["TEST_REDIS_URL"]
        environment["ELASTICSEARCH_URL"] = os.environ["TEST_ELASTICSEARCH_URL"]
        environment["ELASTICSEARCH_INDEX"] = f"bench-{os.getpid()}-{time.time_ns()}"
    return environment


@contextmanager
def running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit("the service is not ready after 30 s")


def wait_for_worker(environment: dict[str, str]) -> None:
    from celery import Celery  # noqa: PLC0415

    app = Celery(broker=environment["CELERY_BROKER_URL"])
    deadline = time.monotonic() + 30
    while not app.control.ping(timeout=1):
        if time.monotonic() > deadline:
            raise SystemExit("no worker answers after 30 s")
    app.close()


def send(bodies: list[bytes], port: int) -> None:
    waiting = list(reversed(bodies))
    lock = threading.Lock()
    refused: list[int] = []

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while True:
            with lock:
                if not waiting:
                    return
                body = waiting.pop()
            connection.request("POST", "/events/batch", body, {"Content-Type": "application/x-ndjson"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 202:
                refused.append(answer.status)

    threads = [threading.Thread(target=work) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if refused:
        raise SystemExit(f"batches were answered {refused}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def spread(values: list[float], digits: int) -> str:
    return " / ".join(f"{value:,.{digits}f}" for value in (min(values), statistics.median(values), max(values)))


if __name__ == "__main__":
    main()
