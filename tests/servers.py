"""Servers of a test's own: a Redis that is killed, a door before a server that may be shut, a receiver of calls."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
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
    """A port that leads to another one while it is open. Silenced, it takes everything and answers nothing."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._open = False
        self._lines = [_open_line()]
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

    def silence(self) -> None:
        """Cut nothing, take every new connection, carry nothing: a line that leads nowhere."""
        self._lines[-1].clear()

    def speak(self) -> None:
        """Carry for those who connect from now on; the others wait for ever."""
        self._lines.append(_open_line())

    def shut(self) -> None:
        """Cut every connection, and take no more."""
        self._open = False
        for line in self._lines:
            line.set()
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
                    threading.Thread(target=self._carry, args=(source, sink, self._lines[-1]), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket, line: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                line.wait()
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def _open_line() -> threading.Event:
    line = threading.Event()
    line.set()
    return line


@dataclass(frozen=True, kw_only=True)
class Received:
    """A request as a receiver got it; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a receiver answers. `raw` is written as it is, `pause` seconds before each of its bytes."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"heard"
    raw: bytes | None = None
    pause: float = 0.0


@dataclass(kw_only=True)
class Receiver:
    """A web server on this machine that keeps every request, and replies as a test says."""

    port: int = 0
    requests: list[Received] = field(default_factory=list)
    replies: Callable[[Received], Reply] = lambda _: Reply()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @classmethod
    @contextmanager
    def running(cls, *, tls: ssl.SSLContext | None = None) -> "Iterator[Receiver]":
        receiver = cls()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                with suppress(OSError):
                    super().handle_one_request()

            def answer(self) -> None:
                received = Received(
                    method=self.command,
                    path=self.path,
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.rfile.read(int(self.headers.get("content-length") or 0)),
                )
                receiver.requests.append(received)
                reply = receiver.replies(received)
                self.close_connection = True
                if reply.raw is not None:
                    for byte in reply.raw:
                        self.wfile.write(bytes([byte]))
                        time.sleep(reply.pause)
                    return
                self.send_response(reply.status)
                for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815  # the names that http.server looks for

            def log_message(self, *_: Any) -> None: ...

        server = _Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            server.server_close()
            thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None: ...
