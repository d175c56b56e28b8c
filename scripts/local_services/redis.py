"""Redis without persistence: the broker is a doorbell, nothing in it is the only copy."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from local_services.processes import Process, first_bytes, spawn
from local_services.service import Service


class Redis(Service):
    name = "redis"
    variable = "TEST_REDIS_URL"
    port_variable = "REDIS_PORT"

    def lacking(self) -> list[str]:
        return [] if shutil.which("redis-server") else ["redis-server"]

    def url(self, port: int) -> str:
        return f"redis://127.0.0.1:{port}/0"

    def launch(self, directory: Path, ports: list[int]) -> Iterator[Process]:
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(ports[0]), "--dir", str(directory)]
        yield spawn([*command, "--save", "", "--appendonly", "no"], log=directory / "log")

    def answers(self, url: str) -> bool:
        address = urlsplit(url)
        # An error, too, is an answer: a password may be asked for.
        return first_bytes((str(address.hostname), address.port or 6379), b"PING\r\n")[:1] in (b"+", b"-")
