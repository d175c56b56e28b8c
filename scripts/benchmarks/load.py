"""Load: what sends requests over kept connections and says how long each took, at little cost of its own.

It takes the processors from what it measures, so it speaks just as much HTTP as it needs: one request a connection at
a time, and answers that name their length.
"""

import selectors
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

_READ = 1 << 16
_PATIENCE = 60.0


@dataclass(slots=True)
class Sent:
    """What came of some requests: how long all took, and each that was answered as expected, in seconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds


class Refused(SystemExit):
    """An answer was not the one that was expected."""


@dataclass(slots=True)
class _Line:
    socket: socket.socket
    began: float = 0.0
    received: bytearray = field(default_factory=bytearray)
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))


def post(
    port: int,
    path: str,
    bodies: Iterable[bytes],
    *,
    clients: int,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
    expected: int = 202,
    seconds: float | None = None,
    tolerant: bool = False,
) -> Sent:
    """Post bodies, each once, over so many connections; no more are begun after some seconds.

    Raises:
        Refused: an answer has another status than the expected one; tolerant, it is counted.
    """
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\n{more}Content-Length: "
    requests = (b"%b%d\r\n\r\n%b" % (head.encode(), len(body), body) for body in bodies)
    return _exchange(port, requests, clients=clients, expected=expected, seconds=seconds, tolerant=tolerant)


def get(port: int, paths: Iterable[str], *, clients: int = 1) -> Sent:
    """Get paths, each once, over so many connections."""
    requests = (f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() for path in paths)
    return _exchange(port, requests, clients=clients, expected=200)


def _exchange(
    port: int,
    requests: Iterator[bytes],
    *,
    clients: int,
    expected: int,
    seconds: float | None = None,
    tolerant: bool = False,
) -> Sent:
    sent = Sent()
    began = time.perf_counter()
    end = began + (seconds if seconds is not None else float("inf"))
    with selectors.DefaultSelector() as selector:
        idle = deque(_connected(port) for _ in range(clients))
        for line in idle:
            selector.register(line.socket, selectors.EVENT_READ, line)
        busy = 0
        while True:
            while idle and time.perf_counter() < end and (request := next(requests, None)) is not None:
                _begin(idle.popleft(), request, selector)
                busy += 1
            if not busy:
                break
            ready = selector.select(_PATIENCE)
            if not ready:
                raise Refused(f"no answer within {_PATIENCE:.0f} s")
            for key, events in ready:
                if events & selectors.EVENT_WRITE:
                    _send(key.data, selector)
                elif (status := _answered(key.data)) is not None:
                    good = status == expected
                    _count(key.data, sent, good=good, tolerant=tolerant)
                    idle.append(key.data if good else _reconnected(key.data, selector, port))
                    busy -= 1
        sent.seconds = time.perf_counter() - began
        for line in idle:
            line.socket.close()
    return sent


def _connected(port: int) -> _Line:
    line = _Line(socket.create_connection(("127.0.0.1", port)))
    line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.socket.setblocking(False)
    return line


def _begin(line: _Line, request: bytes, selector: selectors.BaseSelector) -> None:
    line.began = time.perf_counter()
    line.received.clear()
    line.unsent = memoryview(request)
    _send(line, selector)


def _send(line: _Line, selector: selectors.BaseSelector) -> None:
    waits = bool(line.unsent) and selector.get_key(line.socket).events & selectors.EVENT_WRITE
    with suppress(BlockingIOError):
        line.unsent = line.unsent[line.socket.send(line.unsent) :]
    if line.unsent and not waits:
        selector.modify(line.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, line)
    elif not line.unsent and waits:
        selector.modify(line.socket, selectors.EVENT_READ, line)


def _count(line: _Line, sent: Sent, *, good: bool, tolerant: bool) -> None:
    if good:
        sent.latencies.append(time.perf_counter() - line.began)
    elif tolerant:
        sent.refused += 1
    else:
        raise Refused(f"answered: {bytes(line.received[:2000]).decode(errors='replace')}")


def _reconnected(line: _Line, selector: selectors.BaseSelector, port: int) -> _Line:
    """A connection in place of one whose server failed, and closes it."""
    selector.unregister(line.socket)
    line.socket.close()
    new = _connected(port)
    selector.register(new.socket, selectors.EVENT_READ, new)
    return new


def _answered(line: _Line) -> int | None:
    """The status of an answer that is whole."""
    received = line.socket.recv(_READ)
    if not received:
        raise Refused("the server closed the connection")
    line.received += received
    head = line.received.find(b"\r\n\r\n")
    if head < 0:
        return None
    length = line.received.lower().find(b"content-length:", 0, head)
    size = int(line.received[length + 15 : line.received.find(b"\r\n", length)])
    return None if len(line.received) < head + 4 + size else int(line.received[9:12])
