"""Servers of a test's own that may be killed: a Redis, and a door before a server that may be shut."""

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import redis


@contextmanager
def redis_server(folder: Path, port: int) -> Iterator[None]:
    """A Redis of the test's own, killed at the end."""
    options = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--dir", str(folder)]
    process = subprocess.Popen(["redis-server", "--port", str(port), *options], stdout=subprocess.DEVNULL)
    try:
        with redis.Redis(port=port) as client:
            end = time.monotonic() + 10
            while not _answers(client):
                assert time.monotonic() < end, "Redis does not start"
                time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait(10)


def _answers(client: "redis.Redis") -> bool:
    with suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


class Door:
    """A port that leads to another one while it is open."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._open = False
        self._pairs: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    @contextmanager
    def before(cls, url: str) -> "Iterator[tuple[Door, str]]":
        """A shut door before a server, and the server's address by way of it."""
        parts = urlsplit(url)
        door = cls((str(parts.hostname), int(parts.port or 0)))
        where = parts.netloc.replace(f":{parts.port}", f":{door.port}")
        try:
            yield door, parts._replace(netloc=where).geturl()
        finally:
            door.close()

    def open(self) -> None:
        self._open = True

    def shut(self) -> None:
        """Cut every connection, and take no more."""
        self._open = False
        for end in self._pairs:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._pairs.clear()

    def close(self) -> None:
        self.shut()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if not self._open:
                    near.close()
                    continue
                far = socket.create_connection(self._target)
                self._pairs += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
