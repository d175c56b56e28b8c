"""The peers as contenders: each a function that starts it, gives it work and says how many a second it ended."""

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import create_engine, text

from scripts.benchmarks import flights
from scripts.benchmarks.figures import Figures, percentile, say
from scripts.benchmarks.load import post
from scripts.benchmarks.peers.jobs import counted
from scripts.benchmarks.site import PATIENCE, database, free_port, running, wait_until_ready

HERE = Path(__file__).parent
_COMMANDS = {
    "celery": ["celery", "-A", "scripts.benchmarks.peers.celery_jobs", "worker", "--concurrency=2", "--loglevel=error"],
    "dramatiq": ["dramatiq", "scripts.benchmarks.peers.dramatiq_jobs", "--processes=2", "--threads=8"],
    "huey": ["huey_consumer", "scripts.benchmarks.peers.huey_jobs.huey", "--workers=2", "--worker-type=process"],
}


def job_queues(jobs: int) -> dict[str, Callable[[], Figures]]:
    """Every job queue that is installed, with the number of jobs to do."""
    found: dict[str, Callable[[], Figures]] = {}
    for name in _COMMANDS:
        # Celery takes a millisecond a message.
        found[name] = partial(_queue, name, jobs // 5 if name == "celery" else jobs)
    if shutil.which("go"):
        found["asynq (Go)"] = partial(_asynq, 5 * jobs)
    else:
        say("asynq is left out: there is no Go")
    return found


def plain(clients: int, *, seconds: float, worker: bool = True) -> Figures:
    """The plain design, with so many clients; ended: from the first POST to the last row that is completed."""
    with ExitStack() as stack:
        url = database(stack)
        environment = {**os.environ, "DATABASE_URL": url, "CELERY_BROKER_URL": _broker(stack)}
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = free_port()
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        stack.callback(engine.dispose)
        subprocess.run([sys.executable, "-c", _CREATE], env=environment, check=True)
        module = "scripts.benchmarks.peers.plain_app"
        serve = ["-m", "uvicorn", f"{module}:app", "--port", str(port), "--no-access-log", "--log-level=warning"]
        stack.enter_context(running([sys.executable, *serve], environment, home / "serve.log"))
        wait_until_ready(port)
        if worker:
            work = ["-m", "celery", "-A", f"{module}:celery", "worker", "--concurrency=2", "--loglevel=error"]
            stack.enter_context(running([sys.executable, *work], environment, home / "worker.log"))
            time.sleep(4)
        began = time.perf_counter()
        sent = post(port, "/events", flights.month(), clients=clients, seconds=seconds, tolerant=True)
        figures = {
            "requests/s": sent.per_second,
            "refused": sent.refused,
            "p50 ms": 1000 * percentile(sent.latencies, 0.5),
            "p99 ms": 1000 * percentile(sent.latencies, 0.99),
        }
        if worker:
            with engine.connect() as connection:
                left = text("SELECT count(*) FROM plain_events WHERE status <> 'completed'")
                while connection.scalar(left):
                    if time.perf_counter() - began > PATIENCE:
                        raise SystemExit(f"the plain design did not end; logs in {home}")
                    time.sleep(0.05)
            figures["events/s"] = len(sent.latencies) / (time.perf_counter() - began)
        return figures


_CREATE = "from scripts.benchmarks.peers.plain_app import Base, engine; Base.metadata.create_all(engine)"


@contextmanager
def _flushed(url: str) -> Iterator[str]:
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


def _broker(stack: ExitStack) -> str:
    """A database of the test server that nothing else uses."""
    return stack.enter_context(_flushed(os.environ["TEST_REDIS_URL"].rsplit("/", 1)[0] + "/13"))


def _queue(name: str, jobs: int) -> Figures:
    """Jobs that are sent while two processes work them off."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "worker.log"
        environment = {**os.environ, "CELERY_BROKER_URL": _broker(stack), "JOBS_COUNTED_IN": str(folder)}
        stack.enter_context(running([sys.executable, "-m", *_run(name)], environment, log))
        send = _sender(name, environment["CELERY_BROKER_URL"])
        payload = flights.month()[0].decode()[:300]
        send(payload)
        _wait(folder, 1, log)
        began = time.perf_counter()
        for _ in range(jobs):
            send(payload)
        sent = time.perf_counter() - began
        _wait(folder, jobs + 1, log)
        return {"events/s": jobs / (time.perf_counter() - began), "accepted/s": jobs / sent}


def _sender(name: str, broker: str) -> Callable[[str], Any]:
    """What sends a job; its module reads where to when it is imported."""
    before = os.environ.get("CELERY_BROKER_URL")
    os.environ["CELERY_BROKER_URL"] = broker
    try:
        return importlib.import_module(f"scripts.benchmarks.peers.{name}_jobs").send
    finally:
        os.environ.pop("CELERY_BROKER_URL")
        if before is not None:
            os.environ["CELERY_BROKER_URL"] = before


def _run(name: str) -> list[str]:
    program, *arguments = _COMMANDS[name]
    return ["huey.bin.huey_consumer" if program == "huey_consumer" else program, *arguments]


def _wait(folder: Path, jobs: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while counted(folder) < jobs:
        if time.monotonic() > deadline:
            raise SystemExit(f"{counted(folder)} of {jobs} jobs are done: {log.read_text()[-2000:]}")
        time.sleep(0.005)


def _asynq(jobs: int) -> Figures:
    program = Path(tempfile.gettempdir()) / f"playhead-asynq-{os.getuid()}"
    if not program.exists():
        subprocess.run(["go", "mod", "tidy"], cwd=HERE / "asynq", check=True)
        subprocess.run(["go", "build", "-o", program, "."], cwd=HERE / "asynq", check=True)
    with ExitStack() as stack:
        done = subprocess.run([program, _broker(stack), str(jobs)], check=True, stdout=subprocess.PIPE, text=True)
    return {"events/s": float(done.stdout)}
