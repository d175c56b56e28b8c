"""A service that is measured: its processes, on stores of their own."""

import ctypes
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from celery import Celery
from dependency_injector import providers

from application.ports.claims import Backlog
from application.subscription import Selection
from application.use_cases.results import index_lag
from infrastructure.container import Container
from infrastructure.settings import load
from scripts.benchmarks.flights import PIPELINES
from tests.postgres_databases import postgres_database

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
BIN = Path(sys.executable).parent
PATIENCE = 600
"""Seconds that anything is waited for."""
_SERVERS = ("TEST_DATABASE_URL", "TEST_REDIS_URL", "TEST_ELASTICSEARCH_URL")
_SETTINGS = ("playhead_home", "database_url", "celery_broker_url", "elasticsearch_url", "elasticsearch_index")


class Site:
    """A service: embedded one process, at scale the API, a worker and beat."""

    def __init__(
        self,
        mode: str,
        stack: ExitStack,
        *,
        search: bool = True,
        prepare: Callable[[Any], None] = lambda _: None,
        database_url: str | None = None,
    ) -> None:
        """`prepare` is handed the container before anything runs. At scale Elasticsearch follows with `search`.

        Without `database_url` the database is a new one, as long as the stack lasts.
        """
        self.home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.port = free_port()
        self.environment = environment_of(mode, self.home, stack, search=search, database_url=database_url)
        self.command("db", "upgrade")
        self.container: Any = container_of(self.environment)
        stack.callback(self.container.store().close)
        prepare(self.container)
        self.processes: dict[str, int] = {}
        commands = [["dev" if mode == "embedded" else "serve", "--port", str(self.port)]]
        if mode == "scale":
            commands += [["worker"], ["beat"]]
        for command in commands:
            log = self.home / f"{command[0]}.log"
            self.processes[command[0]] = stack.enter_context(
                running([str(BIN / "playhead"), *command], self.environment, log)
            )
        wait_until_ready(self.port)
        if mode == "scale":
            wait_for_worker(self.environment)

    def command(self, *arguments: str) -> str:
        done = subprocess.run(
            [BIN / "playhead", *arguments], env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    def wait_for(self, head: int) -> None:
        """Wait until all events up to this head are stored and have ended."""
        deadline = time.perf_counter() + PATIENCE
        while True:
            backlogs = self.container.claims().backlog(PIPELINES)
            if all(each.head >= head and self._has_run(name, each) for name, each in backlogs.items()):
                return
            if time.perf_counter() > deadline:
                raise SystemExit(f"not done after {PATIENCE} s: {backlogs}; logs in {self.home}")
            time.sleep(0.02)

    def _has_run(self, pipeline: str, backlog: Backlog) -> bool:
        """Whether nothing of a pipeline waits. Events of others may stand past its cursor until the next sweep."""
        past = Selection(after=backlog.cursor, where={"route": pipeline})
        return not backlog.claims and self.container.events().nth(past, 1) is None

    def wait_for_index(self) -> None:
        """Wait until the index shows all contexts."""
        deadline = time.perf_counter() + PATIENCE
        while lag := index_lag(claims=self.container.claims()):
            if time.perf_counter() > deadline:
                raise SystemExit(f"the index lags by {lag} after {PATIENCE} s; logs in {self.home}")
            time.sleep(0.02)

    def require_one_context_each(self) -> None:
        """Make sure that every event has exactly one completed context."""
        summary = self.container.contexts().summary(0)
        head = self.container.events().head()
        if {status for _, status, _ in summary} != {"completed"} or sum(count for *_, count in summary) != head:
            raise SystemExit(f"not every one of {head} events has exactly one completed context: {summary}")


def container_of(environment: Mapping[str, str]) -> Any:
    """The stores of the service that is measured; this process's own environment names others."""
    settings = load(**{name: environment.get(name.upper(), "") for name in _SETTINGS if name.upper() in environment})
    return Container(settings=providers.Object(settings))


def environment_of(
    mode: str, home: Path, stack: ExitStack, *, search: bool = True, database_url: str | None = None
) -> dict[str, str]:
    """The settings of a service of its own; at scale it takes the servers that the environment names."""
    environment = {**os.environ, "PLAYHEAD_HOME": str(home), "LOG_LEVEL": "warning"}
    for name in ("DATABASE_URL", "CELERY_BROKER_URL", "ELASTICSEARCH_URL", "PIPELINES"):
        environment.pop(name, None)
    if mode == "scale":
        missing = [name for name in _SERVERS if not os.environ.get(name)]
        if missing:
            raise SystemExit(f'{", ".join(missing)} not set. Run: eval "$(scripts/services start)"')
        environment["DATABASE_URL"] = database_url or database(stack)
        environment["CELERY_BROKER_URL"] = os.environ["TEST_REDIS_URL"]
        if search:
            environment["ELASTICSEARCH_URL"] = os.environ["TEST_ELASTICSEARCH_URL"]
            environment["ELASTICSEARCH_INDEX"] = f"bench-{os.getpid()}-{time.time_ns()}"
    return environment


def database(stack: ExitStack) -> str:
    """The URL of an empty database that lasts as long as the stack."""
    return stack.enter_context(postgres_database(os.environ["TEST_DATABASE_URL"]))


@contextmanager
def running(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[int]:
    """Run a command for as long as the block lasts; its process id."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
            # A worker that outlives its measurement would take the next one's messages.
            preexec_fn=partial(_LIBC.prctl, _PR_SET_PDEATHSIG, signal.SIGTERM),  # noqa: PLW1509  # no lock is taken there
        )
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_until_ready(port: int, path: str = "/readyz") -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit("the service is not ready after 30 s")


def wait_for_worker(environment: Mapping[str, str]) -> None:
    app = Celery(broker=environment["CELERY_BROKER_URL"])
    deadline = time.monotonic() + 30
    while not app.control.ping(timeout=1):
        if time.monotonic() > deadline:
            raise SystemExit("no worker answers after 30 s")
    app.close()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
