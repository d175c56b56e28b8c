"""How long the commands take to start, and the embedded service to answer."""

import http.client
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from scripts.benchmarks.figures import Figures
from scripts.benchmarks.site import BIN, free_port


def contenders() -> dict[str, Callable[[], Figures]]:
    commands = (["playhead", "--version"], ["playhead", "--help"], ["celery", "--version"])
    found: dict[str, Callable[[], Figures]] = {" ".join(command): partial(_command, command) for command in commands}
    return {**found, "playhead dev": _dev}


def _command(command: list[str]) -> Figures:
    began = time.perf_counter()
    subprocess.run([BIN / command[0], *command[1:]], check=True, stdout=subprocess.DEVNULL)
    return {"ms": 1000 * (time.perf_counter() - began)}


def _dev() -> Figures:
    """From the command to the first answer, in an empty directory."""
    with tempfile.TemporaryDirectory() as home:
        port, began = free_port(), time.perf_counter()
        environment = {**os.environ, "PLAYHEAD_HOME": home, "LOG_LEVEL": "warning"}
        service = subprocess.Popen(
            [BIN / "playhead", "dev", "--port", str(port)], env=environment, stderr=subprocess.DEVNULL
        )
        try:
            while not _answers(port):
                time.sleep(0.01)
            return {"ms": 1000 * (time.perf_counter() - began)}
        finally:
            service.send_signal(signal.SIGINT)
            service.wait(30)


def _answers(port: int) -> bool:
    with suppress(OSError):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    return False
