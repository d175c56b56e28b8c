"""Limits over a real connection: what is too large is read and thrown away, so that the client reads the answer."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from interfaces.http.bodies import MAX_BODY, MAX_EVENT, MAX_EVENTS, SMALL, beside_the_loop
from interfaces.http.protocol import config_of
from tests.integration.http import CLOUDEVENTS, JSON, NDJSON, Http, event, served, text


@pytest.fixture
def http(database_url: str, tmp_path: Path) -> Iterator[Http]:
    with served(database_url, tmp_path, unknown_types="keep") as found:
        yield found


@pytest.fixture
def client(http: Http) -> Iterator[httpx.Client]:
    """A client of a real server on a free port of the loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(config_of(http.app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    host, port = listener.getsockname()
    try:
        with httpx.Client(base_url=f"http://{host}:{port}", timeout=20) as found:
            yield found
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


def in_chunks(size: int) -> Iterator[bytes]:
    """A body of which nobody says beforehand how long it is."""
    for begin in range(0, size, 65_536):
        yield b"x" * min(65_536, size - begin)


@pytest.mark.parametrize("size", [MAX_EVENT + 1, 5 * MAX_EVENT, MAX_BODY])
@pytest.mark.parametrize("send", [bytes, in_chunks], ids=["whole", "chunked"])
def test_the_sender_of_an_event_that_is_too_large_reads_the_answer(
    client: httpx.Client, http: Http, size: int, send: Callable[[int], bytes | Iterator[bytes]]
):
    answer = client.post("/events", content=send(size), headers=JSON)

    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")
    assert client.post("/events", json=event()).status_code == 202
    assert http.stored() == 1


def test_the_sender_of_a_batch_that_is_too_large_reads_the_answer(client: httpx.Client, http: Http):
    answer = client.post("/events/batch", content=b"\n" * (MAX_BODY + 1), headers=NDJSON)

    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")
    assert http.stored() == 0


def test_a_batch_up_to_the_limit_is_taken(client: httpx.Client, http: Http):
    line = json.dumps({"type": "kept", "data": "x" * (MAX_EVENT // 2)})
    count = MAX_BODY // (len(line) + 1)
    body = "\n".join([line] * count).ljust(MAX_BODY)

    assert client.post("/events/batch", content=body, headers=NDJSON).status_code == 202
    assert http.stored() == count


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (NDJSON, b"1\n" * (MAX_EVENTS + 1)),
        (NDJSON, b"\n" * (MAX_BODY - 1)),
        (JSON, b"[" + b"1," * MAX_EVENTS + b"1]"),
        (JSON, b"[" + b"1," * (MAX_BODY // 2 - 1)),
        (CLOUDEVENTS, b"[" + b"{}," * MAX_EVENTS + b"{}]"),
    ],
    ids=["lines", "empty lines", "array", "open array", "cloudevents"],
)
def test_a_batch_of_too_many_events_is_refused_whatever_they_are(
    client: httpx.Client, http: Http, headers: dict[str, str], body: bytes
):
    answer = client.post("/events/batch", content=body, headers=headers)

    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")
    assert "in parts" in answer.json()["detail"]
    assert http.stored() == 0


def test_a_batch_of_as_many_events_as_there_may_be_has_an_outcome_for_each(client: httpx.Client, http: Http):
    good = json.dumps({"type": "kept", "data": 1})
    answer = client.post("/events/batch", content=f"{good}\n" + "1\n" * (MAX_EVENTS - 1), headers=NDJSON)

    assert (answer.status_code, len(answer.json()["items"]), http.stored()) == (207, MAX_EVENTS, 1)


def test_a_large_body_is_read_in_a_thread_while_others_are_served():
    async def threads(size: int) -> tuple[int, int]:
        return threading.get_ident(), await beside_the_loop(size, threading.get_ident)

    loop, small = asyncio.run(threads(SMALL))
    other, large = asyncio.run(threads(SMALL + 1))

    assert (small == loop, large == other) == (True, False)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/events", 413), ("/events/batch", 415), ("/search", 415), ("/nowhere", 404), ("/livez", 405)],
)
def test_a_large_body_that_is_not_wanted_does_not_keep_the_answer_from_its_sender(
    client: httpx.Client, path: str, status: int
):
    answer = client.post(path, content=b"x" * MAX_BODY, headers={"content-type": "text/plain"})

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/livez").status_code == 200


def test_a_chunked_event_is_read_whole(client: httpx.Client, http: Http):
    body = text(subject="chunked").encode()
    answer = client.post("/events", content=(body[index : index + 7] for index in range(0, len(body), 7)), headers=JSON)

    assert (answer.status_code, http.stored()) == (202, 1)


def test_a_client_that_leaves_before_its_body_is_sent_stores_nothing_and_disturbs_nobody(
    client: httpx.Client, http: Http, capfd: pytest.CaptureFixture[str]
):
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        connection.sendall(
            b"POST /events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"
        )
    deadline = time.monotonic() + 10
    while 'status="499"' not in client.get("/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert client.post("/events", json=event()).status_code == 202
    assert http.stored() == 1
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_head_request_is_answered_without_a_body(client: httpx.Client):
    answer = client.head("/events")

    assert (answer.status_code, answer.content) == (405, b"")
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize(
    ("size", "read"), [(MAX_EVENT + 1, MAX_EVENT + 1), (MAX_BODY, MAX_BODY), (2 * MAX_BODY, MAX_BODY)]
)
def test_the_service_itself_throws_away_up_to_16_mebibytes_and_no_more(http: Http, size: int, read: int):
    sent = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal sent
        for chunk in in_chunks(size):
            sent += len(chunk)
            yield chunk

    answer = asyncio.run(http.arequest("POST", "/events", content=counted(), headers=JSON))

    assert answer.status_code == 413
    assert read <= sent <= read + 65_536
