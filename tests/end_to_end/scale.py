"""The service at scale: API, workers and beat as processes of their own, whose output lies in files."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.end_to_end.processes import BIN, ROOT, environment, free_port, is_ready, wait_until


class Process:
    """One running process; `stdout` and `stderr` are files."""

    def __init__(self, command: list[str], *, environment: Mapping[str, str], folder: Path, name: str) -> None:
        self.stdout, self.stderr = folder / f"{name}.out", folder / f"{name}.err"
        with self.stdout.open("ab") as out, self.stderr.open("ab") as err:
            self.popen = subprocess.Popen(
                command, env=dict(environment), cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                start_new_session=True,
            )  # fmt: skip

    def children(self) -> list[int]:
        """The ids of the process's children."""
        text = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children").read_text()
        return [int(part) for part in text.split()]

    def lines(self) -> list[dict[str, Any]]:
        """What it said on standard error: every line is a JSON object, or this fails."""
        return [json.loads(line) for line in self.stderr.read_text().splitlines()]

    def terminate(self, seconds: float = 25.0) -> int:
        """Send SIGTERM to the process alone, and wait; its exit code."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(seconds)

    def kill(self) -> None:
        """Kill the process and all its children, at once."""
        if self.popen.poll() is None or self._group():
            try:
                os.killpg(self.popen.pid, signal.SIGKILL)
            except ProcessLookupError:
                return
            self.popen.wait(10)

    def _group(self) -> bool:
        try:
            os.killpg(self.popen.pid, 0)
        except ProcessLookupError:
            return False
        return True


@dataclass(kw_only=True)
class Processes:
    """Starts processes with one environment; kills what is left at the end."""

    folder: Path
    environment: dict[str, str]
    started: list[Process] = field(default_factory=list)
    clients: list[httpx.Client] = field(default_factory=list)

    def start(self, *command: str, **settings: str) -> Process:
        """Start a command of the environment's folder of programs, such as `playhead worker`."""
        program, *arguments = command
        process = Process(
            [str(BIN / program), *arguments],
            environment={**self.environment, **settings},
            folder=self.folder,
            name=f"{len(self.started)}-{program}-{arguments[0] if arguments else ''}",
        )
        self.started.append(process)
        return process

    def serve(self, **settings: str) -> tuple[Process, httpx.Client]:
        """Start the API; a client once it answers."""
        port = free_port()
        process = self.start("playhead", "serve", "--port", str(port), **settings)
        wait_until(lambda: is_ready(port), seconds=20, log=process.stderr)
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self.clients.append(client)
        return process, client

    def worker(self, *options: str, **settings: str) -> Process:
        """Start a worker, and wait until it hears."""
        process = self.start("playhead", "worker", *options, **settings)
        wait_until(lambda: self._ready(process), seconds=30, log=process.stderr)
        return process

    @staticmethod
    def _ready(process: Process) -> bool:
        assert process.popen.poll() is None, process.stderr.read_text()
        return " ready." in process.stderr.read_text()


@contextmanager
def processes(folder: Path, **settings: str) -> Iterator[Processes]:
    """Processes that see these settings and nothing else of ours."""
    env = environment(folder / "home", log_level="info", pythonpath=str(ROOT), **settings)
    found = Processes(folder=folder, environment=env)
    try:
        yield found
    finally:
        for client in found.clients:
            client.close()
        for process in reversed(found.started):
            process.kill()
