"""The servers of a chaos run: a broker that is killed and comes back empty. PostgreSQL is the tests' own."""

import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import redis

from tests.end_to_end.processes import ROOT, free_port
from tests.servers import redis_server


class Broker(Protocol):
    """A broker without a memory: `start` begins with nothing."""

    port: int

    def url(self, port: int) -> str:
        """Its URL by way of a port."""

    def start(self) -> None:
        """Start, and return when it answers."""

    def kill(self) -> None:
        """SIGKILL."""

    def empty(self) -> None:
        """Empty it while it runs."""


class RedisBroker:
    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._running = ExitStack()

    def url(self, port: int) -> str:
        return f"redis://127.0.0.1:{port}/0"

    def start(self) -> None:
        self._running.enter_context(redis_server(self._folder, self.port))

    def kill(self) -> None:
        self._running.close()

    def empty(self) -> None:
        with redis.Redis(port=self.port) as client:
            client.flushall()


class RabbitBroker:
    """RabbitMQ as `scripts/services` starts it."""

    def __init__(self) -> None:
        scripts = str(ROOT / "scripts")
        if scripts not in sys.path:
            sys.path.append(scripts)  # where the launchers of the services live
        from local_services import processes, rabbitmq

        self._processes = processes
        self._service = rabbitmq.RabbitMQ()
        self._ports = [processes.free_port() for _ in range(self._service.number_of_ports)]
        self._folder: Path | None = None
        self._started: list[processes.Process] = []
        self.port = self._ports[0]

    def url(self, port: int) -> str:
        return self._service.url(port)

    def start(self) -> None:
        user = self._service.run_as()
        self._folder = Path(tempfile.mkdtemp(prefix="playhead-rabbitmq-", dir="/var/tmp"))  # its user reaches it there
        if user is not None:
            shutil.chown(self._folder, user)
        for process in self._service.launch(self._folder, self._ports):
            self._started.append(process)
        url = self._service.url(self.port)
        self._processes.wait_for_answer(
            lambda: self._service.answers(url), self._started[-1], self._service.patience, self._folder / "log"
        )

    def kill(self) -> None:
        while self._started:
            self._started.pop().stop(signal.SIGKILL)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def empty(self) -> None:
        self.kill()
        self.start()
