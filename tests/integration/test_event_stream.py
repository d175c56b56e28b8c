"""GET /events as a stream, from a real server: exact sequences for whoever reads, however it reads."""

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from application.subscription import Selection
from application.use_cases.keys import CreateKey, create_key, revoke_key
from infrastructure.ids import new_key_parts
from interfaces.http import event_stream, protocol
from tests.end_to_end.processes import wait_until
from tests.factories import NewEventFactory
from tests.integration.http import Http, problem, served

STREAM = {"accept": "text/event-stream"}


@dataclass(kw_only=True)
class Service:
    """A real server of an application."""

    http: Http
    url: str
    server: protocol.Server

    def append(self, count: int, **changes: Any) -> None:
        self.http.container.events().append(NewEventFactory.build_batch(count, **changes))


@contextmanager
def serving(http: Http) -> Iterator[Service]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = protocol.Server(http.app, timeout_graceful_shutdown=5)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield Service(http=http, url=f"http://127.0.0.1:{listener.getsockname()[1]}", server=server)
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive()


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[Service]:
    with served(database_url, tmp_path) as http, serving(http) as found:
        yield found


@dataclass
class Reader:
    """A client that reads a stream on a thread of its own, as a browser does: it comes again with its last id.

    After `leave_after` events it goes, and comes again; so it does when nothing comes for `patience` seconds. Before
    each event it waits `pause` seconds.
    """

    url: str
    query: str = ""
    leave_after: int = 0
    pause: float = 0.0
    patience: float = 0.5
    headers: dict[str, str] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    answers: list[httpx.Response] = field(default_factory=list)
    ended: int = 0
    stopping: bool = False

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping = True
        self._thread.join(20)
        assert not self._thread.is_alive()

    @property
    def ids(self) -> list[int]:
        return [each["id"] for each in self.events]

    def _run(self) -> None:
        with httpx.Client(timeout=httpx.Timeout(5, read=self.patience)) as client:
            while not self.stopping:
                last = {"last-event-id": str(self.ids[-1])} if self.events else {}
                try:
                    headers = STREAM | self.headers | last
                    with client.stream("GET", f"{self.url}/events?{self.query}", headers=headers) as answer:
                        self.answers.append(answer)
                        self._read(answer)
                        self.ended += 1
                except httpx.ReadTimeout:
                    continue
                except httpx.TransportError:  # the service has gone
                    return

    def _read(self, answer: httpx.Response) -> None:
        if answer.status_code != 200:
            self.stopping = True
            return
        came: dict[str, Any] = {}
        read = 0
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if line == "" and "data" in came:
                time.sleep(self.pause)
                self.events.append({**came, "id": int(came["id"]), "data": json.loads(came["data"])})
                came, read = {}, read + 1
                if self.stopping or read == self.leave_after:
                    return
            elif line.startswith(":"):
                self.comments.append(line)
                if self.stopping:
                    return
            elif name == "data" and "data" in came:
                came["data"] += f"\n{value}"
            else:
                came[name] = value


def has(reader: Reader, count: int) -> Callable[[], bool]:
    return lambda: len(reader.events) >= count


def test_a_stream_tells_each_event_with_its_position_its_type_and_all_of_it(service: Service):
    service.append(2)
    with Reader(service.url, "after=1") as reader:
        wait_until(has(reader, 1))
        service.append(1, type="order.paid", data='{"a": [1.50,\r\n2], "b": "\\u2028 "}')
        wait_until(has(reader, 2))

    [answer, *_] = reader.answers
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["playhead-log-id"] == service.http.container.log_ids().of("events")
    assert answer.headers["cache-control"] == "no-store"
    assert [(each["id"], each["event"]) for each in reader.events] == [(2, "order.placed"), (3, "order.paid")]
    stored = service.http.container.events().get(reader.events[1]["data"]["id"])
    assert stored is not None
    assert reader.events[1]["data"] == json.loads(stored.json)


def test_without_a_position_a_stream_begins_now(service: Service):
    service.append(3)
    with Reader(service.url) as reader:
        wait_until(lambda: bool(reader.answers))
        service.append(1)
        wait_until(has(reader, 1))

    assert reader.ids == [4]


def test_a_stream_tells_what_fits_its_filters(service: Service):
    with Reader(service.url, "after=0&type=rare") as typed, Reader(service.url, "after=0&subject=mine") as subject:
        for number in range(30):
            rare = number % 10 == 3
            service.append(1, type="rare" if rare else "common", subject="mine" if number % 7 == 0 else "other")
        wait_until(has(typed, 3))
        wait_until(has(subject, 5))

    assert (typed.ids, subject.ids) == ([4, 14, 24], [1, 8, 15, 22, 29])


def test_every_reader_gets_the_exact_sequence_whatever_it_does_while_many_append(service: Service):
    """Readers that keep up, begin late, are slow, leave and come again, and select; four writers."""
    total, seed = 2_000, random.Random(4)
    sizes = [seed.randint(1, 20) for _ in range(400)]
    while sum(sizes) > total:
        sizes.pop()
    sizes.append(total - sum(sizes))
    service.append(40)

    def write(parts: list[int]) -> None:
        for count in parts:
            service.append(count, type=seed.choice(["a", "b"]))
            time.sleep(0.005)

    writers = [threading.Thread(target=write, args=(sizes[number::4],)) for number in range(4)]
    url = service.url
    with (
        Reader(url, "after=0") as plain,
        Reader(url, "after=0", leave_after=37) as restless,
        Reader(url, "after=20", leave_after=200) as coming_again,
        Reader(url, "after=0", pause=0.001) as slow,
        Reader(url, "after=0&type=a", leave_after=11) as selecting,
    ):
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        with Reader(url, "after=1000") as late:
            everyone = ((plain, 2040), (restless, 2040), (coming_again, 2020), (slow, 2040), (late, 1040))
            for reader, count in everyone:
                wait_until(has(reader, count), seconds=60)
            events = service.http.container.events().stream
            wanted = [event.position for event in events(Selection(where={"type": "a"}))]
            wait_until(has(selecting, len(wanted)))

    assert plain.ids == restless.ids == slow.ids == list(range(1, 2041))
    assert coming_again.ids == list(range(21, 2041))
    assert late.ids == list(range(1001, 2041))
    assert selecting.ids == wanted
    assert restless.ended >= 2040 // 37


def test_a_reader_that_takes_nothing_is_not_read_ahead_for_and_holds_up_nobody(service: Service):
    container = service.http.container
    service.append(400, data=f'"{"x" * 100_000}"')  # 40 MB
    reads: list[int] = []
    feed = container.feed()
    read = feed.read

    def counted(selection):
        reads.append(selection.after)
        return read(selection)

    feed.read = counted
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as stuck:
        stuck.sendall(b"GET /events?after=0 HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n")
        wait_until(lambda: bool(reads))
        time.sleep(1)
        assert len(reads) <= 3  # a page of 32 is 3 MB: more than the buffers on the way hold
        feed.read = read
        with Reader(service.url, "after=0") as reader:
            wait_until(has(reader, 400), seconds=60)
        assert reader.ids == list(range(1, 401))
        came, end = b"", time.monotonic() + 60
        stuck.settimeout(5)
        while b"id: 400\n" not in came[-300_000:]:
            assert time.monotonic() < end
            came += stuck.recv(1 << 20)
        found = [int(part.split(b"\n")[0]) for part in came.split(b"\nid: ")[1:]]
        assert found == list(range(1, 401))


def test_who_takes_nothing_for_too_long_loses_its_place(service: Service, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(event_stream, "STALL_SECONDS", 0.5)
    service.append(200, data=f'"{"x" * 100_000}"')
    feed = service.http.container.feed()
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as stuck:
        stuck.sendall(b"GET /events?after=0 HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n")
        wait_until(lambda: feed._readers == 1)
        wait_until(lambda: feed._readers == 0)


def test_a_reader_that_has_gone_frees_its_place(service: Service):
    feed = service.http.container.feed()
    with Reader(service.url):
        wait_until(lambda: feed._readers == 1)
    wait_until(lambda: feed._readers == 0)


def test_more_streams_than_may_are_refused_for_now(sqlite_url: str, tmp_path: Path):
    with served(sqlite_url, tmp_path, feed_streams=1) as http, serving(http) as service:
        with Reader(service.url) as first:
            wait_until(lambda: bool(first.answers))
            refused = httpx.get(f"{service.url}/events", headers=STREAM)
            assert (refused.status_code, problem(refused)["type"]) == (429, "/problems/overloaded")
            assert int(refused.headers["retry-after"]) > 0
            assert httpx.get(f"{service.url}/events").status_code == 200
        wait_until(lambda: http.container.feed()._readers == 0)
        with Reader(service.url) as again:
            wait_until(lambda: bool(again.answers))
        assert again.answers[0].status_code == 200


def test_a_quiet_stream_is_kept_alive_by_comments(service: Service, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_SECONDS", 0.1)
    monkeypatch.setattr(event_stream, "LOOK_SECONDS", 0.1)
    with Reader(service.url) as reader:
        wait_until(lambda: len(reader.comments) >= 3)
        service.append(1)
        wait_until(has(reader, 1))

    assert set(reader.comments) == {": keep-alive"}
    assert len(reader.answers) == 1


def test_streams_end_cleanly_when_the_service_stops(service: Service):
    with Reader(service.url, "after=0") as first, Reader(service.url) as second:
        service.append(5)
        wait_until(has(first, 5))
        wait_until(lambda: bool(second.answers))
        began = time.monotonic()
        service.server.should_exit = True
        wait_until(lambda: first.ended == second.ended == 1)
        assert time.monotonic() - began < 3


def test_a_stream_ends_when_its_key_is_revoked(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(event_stream, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr("application.key_ring.FRESH_SECONDS", 0.2)
    with served(sqlite_url, tmp_path, api_keys="on") as http, serving(http) as service:
        ports = {"keys": http.container.api_keys(), "auditor": http.container.auditor()}
        key = create_key(CreateKey(name="reader", scopes=("events:read",)), new_key_parts=new_key_parts, **ports)
        with Reader(service.url, patience=10, headers={"authorization": f"Bearer {key.text}"}) as reader:
            wait_until(lambda: bool(reader.answers))
            service.append(1)
            wait_until(has(reader, 1))
            revoke_key(http.container.api_keys().list()[0].id, **ports)
            wait_until(lambda: reader.ended >= 1, seconds=8)
            wait_until(lambda: reader.answers[-1].status_code == 401)


@pytest.mark.parametrize(
    ("query", "last"),
    [("status=queued", ""), ("cursor=x", ""), ("as_of=1", ""), ("after=5", ""), ("", "5"), ("after=0", "x"),
     ("", "-1"), ("", "99999999999999999999")],
)  # fmt: skip
def test_a_stream_that_cannot_go_on_by_positions_is_refused(http: Http, query: str, last: str):
    refused = http.get(f"/events?{query}", headers={**STREAM, "last-event-id": last})

    assert (refused.status_code, problem(refused)["type"]) == (400, "/problems/invalid-request")


def test_the_last_id_goes_before_after(service: Service):
    service.append(3)
    with Reader(service.url, "after=0", headers={"last-event-id": "2"}) as reader:
        wait_until(has(reader, 1))

    assert reader.ids == [3]
