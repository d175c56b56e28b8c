"""Clients that are slow or send too much, over a real connection: answered or cut off, and nobody else is held up."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from interfaces.http import bodies, protocol
from tests.integration.http import JSON, Http, event, served, text

HOST = b"host: x\r\n"


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> float:
    """Little patience, so that no test waits long."""
    seconds = 0.4
    monkeypatch.setattr(protocol, "HEAD_SECONDS", seconds)
    monkeypatch.setattr(bodies, "STALL_SECONDS", seconds)
    monkeypatch.setattr(bodies, "BODY_SECONDS", 3 * seconds)
    return seconds


@pytest.fixture
def http(sqlite_url: str, tmp_path: Path) -> Iterator[Http]:
    with served(sqlite_url, tmp_path) as found:
        yield found


@pytest.fixture
def address(http: Http) -> Iterator[tuple[str, int]]:
    """Where a real server of the application listens."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(protocol.config_of(http.app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


@contextmanager
def connected(address: tuple[str, int], sent: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(sent)
        yield connection


def answer_of(connection: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    found = b""
    try:
        while part := connection.recv(65_536):
            found += part
    except ConnectionResetError:
        pass  # it had not read all that was sent
    return found


def post(address: tuple[str, int]) -> int:
    """The status of a good request of somebody else."""
    return httpx.post(f"http://{address[0]}:{address[1]}/events", json=event()).status_code


@pytest.mark.parametrize(
    "head",
    [
        b"x-long: " + b"y" * (protocol.MAX_HEAD + 1) + b"\r\n",
        b"".join(b"x-%d: y\r\n" % number for number in range(protocol.MAX_HEADERS + 1)),
        b"".join(b"x-%d: %s\r\n" % (number, b"y" * 1000) for number in range(100)),
    ],
    ids=["one long", "many", "many kilobytes"],
)
def test_headers_that_are_too_large_are_refused_and_the_connection_ends(address: tuple[str, int], head: bytes):
    with connected(address, b"POST /events HTTP/1.1\r\n" + HOST + head + b"content-length: 2\r\n\r\n{}") as connection:
        head, _, body = answer_of(connection).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 431 ")
    assert b"application/problem+json" in head
    assert json.loads(body)["type"] == "/problems/header-too-large"
    assert post(address) == 202


def test_a_header_that_never_ends_is_cut_off_at_the_limit(address: tuple[str, int]):
    sent = 0
    with connected(address, b"GET /livez HTTP/1.1\r\nx: ") as connection:
        try:
            while sent < 64 * protocol.MAX_HEAD:
                sent += connection.send(b"y" * 4096)
                time.sleep(0)
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert sent < 64 * protocol.MAX_HEAD
    assert post(address) == 202


def test_a_long_path_is_part_of_the_head(address: tuple[str, int]):
    with connected(address, b"GET /" + b"x" * protocol.MAX_HEAD + b" HTTP/1.1\r\n" + HOST + b"\r\n") as connection:
        assert answer_of(connection).startswith(b"HTTP/1.1 431 ")


def test_headers_up_to_the_limit_and_a_large_body_at_once_are_read(address: tuple[str, int], http: Http):
    fill = b"x-fill: " + b"y" * (protocol.MAX_HEAD - 500) + b"\r\n"
    body = text(subject="s").encode().ljust(900_000)
    head = b"POST /events HTTP/1.1\r\n" + HOST + b"content-type: application/json\r\n" + fill
    with connected(address, head + b"connection: close\r\ncontent-length: 900000\r\n\r\n" + body) as connection:
        assert answer_of(connection).startswith(b"HTTP/1.1 202 ")
    assert http.stored() == 1


def test_requests_one_after_the_other_on_one_connection_each_have_their_own_head(address: tuple[str, int]):
    big = b"GET /livez HTTP/1.1\r\n" + HOST + b"x-fill: " + b"y" * 40_000 + b"\r\n"
    with connected(address, (big + b"\r\n") * 4 + big + b"connection: close\r\n\r\n") as connection:
        assert answer_of(connection).count(b"HTTP/1.1 200 ") == 5


@pytest.mark.parametrize("sent", [b"", b"GET /li", b"GET /livez HTTP/1.1\r\nhost: x\r\nx-slow: "])
def test_a_head_that_does_not_come_ends_its_connection(address: tuple[str, int], sent: bytes, patience: float):
    began = time.monotonic()
    with connected(address, sent) as connection:
        answer = answer_of(connection)
    assert time.monotonic() - began >= patience * 0.9
    assert answer == b"" if not sent else answer.startswith(b"HTTP/1.1 408 ")


def test_a_body_that_stops_coming_is_answered_408_and_the_connection_ends(
    address: tuple[str, int], http: Http, patience: float
):
    head = b"POST /events HTTP/1.1\r\n" + HOST + b"content-type: application/json\r\ncontent-length: 999\r\n\r\n"
    with connected(address, head + b"{") as connection:
        head, _, body = answer_of(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["type"] == "/problems/request-timeout"
    assert http.stored() == 0


def test_a_body_that_comes_byte_by_byte_ends_with_its_time(address: tuple[str, int], patience: float):
    head = b"POST /events/batch HTTP/1.1\r\n" + HOST + b"content-type: application/x-ndjson\r\n"
    began = time.monotonic()
    with connected(address, head + b"content-length: 9999\r\n\r\n") as connection:
        connection.settimeout(patience / 4)
        answer = b""
        while not answer and time.monotonic() < began + 20:
            try:
                connection.sendall(b" ")
                answer = connection.recv(9999)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began >= 2 * patience


def test_many_slow_clients_hold_nobody_up(address: tuple[str, int], http: Http):
    head = b"POST /events HTTP/1.1\r\n" + HOST + b"content-type: application/json\r\ncontent-length: 999\r\n\r\n{"
    slow = [socket.create_connection(address, timeout=10) for _ in range(200)]
    try:
        for connection in slow:
            connection.sendall(head)
        seconds = []
        for _ in range(20):
            began = time.monotonic()
            assert post(address) == 202
            seconds.append(time.monotonic() - began)
        assert http.stored() == 20
        assert sorted(seconds)[10] < 1
    finally:
        for connection in slow:
            connection.close()


def test_a_client_that_waits_for_its_result_is_not_cut_off_by_the_bodys_time(http: Http, patience: float):
    answer = http.post(event(), {**JSON, "prefer": "wait=1"})

    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait")
