"""A hostile broker: whatever lies in its queues is counted and dropped in a line each, and the honest are served."""

import base64
import json
import pickle
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis

from application.use_cases.backlogs import FOLLOW_UPS
from infrastructure.celery.app import PROCESS, RING
from infrastructure.celery.messages import MAX_BODY
from infrastructure.sql.store import SqlStore
from tests.end_to_end.processes import free_port, wait_until
from tests.end_to_end.scale import Process, Processes, processes
from tests.factories import NewEventFactory
from tests.servers import redis_server
from tests.stores import opened

pytestmark = [pytest.mark.postgres, pytest.mark.redis]
SLOW = "tests.end_to_end.slow_pipelines"
QUEUE = "playhead"
EMBEDDED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
CANARY = "forged-canary-forged-canary"


class Exploit:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def envelope(body: Any, /, *, raw: bytes | None = None, **changes: Any) -> dict[str, Any]:
    """A message as Celery's protocol 2 puts it into Redis."""
    headers = {
        "lang": "py", "task": PROCESS, "id": str(uuid4()), "root_id": None, "parent_id": None, "group": None,
        "shadow": None, "eta": None, "expires": None, "retries": 0, "timelimit": [None, None], "argsrepr": "()",
        "kwargsrepr": "{}", "origin": "stranger", "ignore_result": True, **changes.pop("headers", {}),
    }  # fmt: skip
    properties = {
        "correlation_id": headers["id"], "reply_to": str(uuid4()), "delivery_mode": 2, "priority": 0,
        "delivery_info": {"exchange": "", "routing_key": QUEUE}, "body_encoding": "base64",
        "delivery_tag": str(uuid4()), **changes.pop("properties", {}),
    }  # fmt: skip
    content = json.dumps(body).encode() if raw is None else raw
    return {
        "body": base64.b64encode(content).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": properties,
        **changes,
    }


def without(message: dict[str, Any], *path: str) -> dict[str, Any]:
    """The message without a member."""
    inner = message
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return message


def forged(real: str, touched: Path) -> dict[str, bytes | dict[str, Any]]:
    """Forged messages by their kinds; `real` is the id of an event that there is."""
    good: Any = [[real], {}, EMBEDDED]
    deep = b"[" * 3000 + b"]" * 3000
    return {
        "garbage": b"not an envelope",
        "no UTF-8": b"\xff\xfe\x00",
        "a number": b"7",
        "an empty object": b"{}",
        "null": b"null",
        "nested deep": deep * 10,
        "a foreign task": envelope([["true"], {}, EMBEDDED], headers={"task": "os.system"}),
        "a built-in task": envelope([[[], 1], {}, EMBEDDED], headers={"task": "celery.chord_unlock"}),
        "backend_cleanup": envelope([[], {}, EMBEDDED], headers={"task": "celery.backend_cleanup"}),
        "a long name": envelope(good, headers={"task": CANARY * 5_000}),
        "a name with line ends": envelope(good, headers={"task": 'x\n{"event":"' + CANARY + '"}'}),
        "a name that is a list": envelope(good, headers={"task": [PROCESS]}),
        "pickle": envelope(None, raw=pickle.dumps(([Exploit(touched)], {}, EMBEDDED)),
                           **{"content-type": "application/x-python-serialize", "content-encoding": "binary"}),
        "pickle said to be JSON": envelope(None, raw=pickle.dumps(Exploit(touched))),
        "yaml": envelope(None, raw=b"!!python/object/apply:os.system []", **{"content-type": "application/x-yaml"}),
        "compressed": envelope(None, raw=zlib.compress(b"0" * 50_000_000), headers={"compression": "gzip"}),
        "huge": envelope([["x" * 5_000_000], {}, EMBEDDED]),
        "a little too large": envelope([[real], {}, EMBEDDED, " " * MAX_BODY]),
        "a deep body": envelope(None, raw=deep[:MAX_BODY]),
        "bad JSON": envelope(None, raw=b"[[" + CANARY.encode()),
        "a body in base64 that is none": envelope(good, body="%%%"),
        "a body that is a number": envelope(good, body=7),
        "another body encoding": envelope(good, properties={"body_encoding": "rot13"}),
        "no id": without(envelope(good), "headers", "id"),
        "an id that is a list": envelope(good, headers={"id": [1]}),
        "a long id": envelope(good, headers={"id": "x" * 10_000}),
        "no delivery tag": without(envelope(good), "properties", "delivery_tag"),
        "a delivery tag that is a list": envelope(good, properties={"delivery_tag": [1, 2]}),
        "no delivery info": without(envelope(good), "properties", "delivery_info"),
        "no properties": without(envelope(good), "properties"),
        "headers that are a list": envelope(good) | {"headers": [1]},
        "no headers": without(envelope(good), "headers"),
        "protocol 1": envelope({"task": PROCESS, "id": "1", "args": [real], "kwargs": {}}) | {"headers": {}},
        "protocol 1, foreign": envelope({"task": "os.system", "id": "1", "args": []}) | {"headers": {}},
        "an object as a body": envelope({"args": [real], "kwargs": {}}),
        "no arguments": envelope([[], {}, EMBEDDED]),
        "more arguments": envelope([[real, real], {}, EMBEDDED]),
        "one twice": envelope([[real], {"event_id": real}, EMBEDDED]),
        "a strange keyword": envelope([[], {"event_id": real, "sql": "DROP TABLE events"}, EMBEDDED]),
        "an argument that is a number": envelope([[7], {}, EMBEDDED]),
        "an argument that is an object": envelope([[{"id": real}], {}, EMBEDDED]),
        "an argument that is null": envelope([[None], {}, EMBEDDED]),
        "no event id": envelope([["' OR 1=1 --"], {}, EMBEDDED]),
        "an unknown event": envelope([[str(uuid4())], {}, EMBEDDED]),
        "an unknown subscription": envelope([["unheard-of"], {}, EMBEDDED], headers={"task": RING}),
        "a subscription that is a list": envelope([[["slow"]], {}, EMBEDDED], headers={"task": RING}),
        "a subscription with a NUL": envelope([["a\0"], {}, EMBEDDED], headers={"task": RING}),
        "a callback": envelope([[real], {}, {**EMBEDDED, "callbacks": [{"task": RING, "args": [FOLLOW_UPS]}]}]),
        "an errback": envelope([[real], {}, {**EMBEDDED, "errbacks": [{"task": "os.system"}]}]),
        "a chord": envelope([[real], {}, {**EMBEDDED, "chord": {"task": RING}}]),
        "a time limit": envelope(good, headers={"timelimit": [0.001, None]}),
        "a time limit that is text": envelope(good, headers={"timelimit": "now"}),
        "a time long from now": envelope(good, headers={"eta": "2999-01-01T00:00:00+00:00"}),
        "a time that is none": envelope(good, headers={"eta": "soon"}),
        "an end that is an object": envelope(good, headers={"expires": {}}),
        "retries": envelope(good, headers={"retries": 10**9}),
    }  # fmt: skip


HARMLESS = {
    "headers of strangers": {"chain": [{"task": "os.system"}], "callbacks": [1], "chord": 7, "x": "y" * 100},
    "a hostname": {"hostname": "other", "called_directly": True, "is_eager": True},
}
"""What is taken off a message that is honest otherwise."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    with redis_server(tmp_path, port):
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def worker_of(tmp_path: Path, postgres_url: str, broker: str) -> Iterator[tuple[Processes, SqlStore]]:
    with opened(postgres_url) as store, processes(
        tmp_path, database_url=postgres_url, celery_broker_url=broker, pipelines=SLOW, lease_seconds="3"
    ) as found:  # fmt: skip
        yield found, store


def dropped(worker: Process) -> list[dict[str, Any]]:
    return [line for line in worker.lines() if line["event"] == "message_dropped"]


def serve_one(client: "redis.Redis", store: SqlStore) -> str:
    """Put an event into the log and ring for it by an honest message; its id."""
    event = NewEventFactory(type="slow.asked", route="slow", data='{"n": 1}')
    store.events.append([event])
    client.lpush(QUEUE, json.dumps(envelope([[event.id], {}, EMBEDDED])))
    return str(event.id)


def succeeded(store: SqlStore, *ids: str) -> bool:
    return all(store.states.of([store.events.get(event_id)])[0].status == "succeeded" for event_id in ids)


def test_forged_messages_are_counted_and_dropped_and_an_honest_one_is_served(
    worker_of: tuple[Processes, SqlStore], broker: str, tmp_path: Path
):
    found, store = worker_of
    worker = found.worker()
    children = worker.children()
    with redis.Redis.from_url(broker) as client:
        first = serve_one(client, store)
        wait_until(lambda: succeeded(store, first), seconds=30, log=worker.stderr)
        kinds = forged(first, tmp_path / "touched")
        assert len(kinds) >= 20
        for kind in kinds.values():
            client.lpush(QUEUE, kind if isinstance(kind, bytes) else json.dumps(kind))
        for headers in HARMLESS.values():
            client.lpush(QUEUE, json.dumps(envelope([[first], {}, EMBEDDED], headers=headers)))
        last = serve_one(client, store)

        wait_until(lambda: succeeded(store, last), seconds=60, log=worker.stderr)
        wait_until(lambda: len(dropped(worker)) >= len(kinds), seconds=30, log=worker.stderr)
        wait_until(lambda: not client.exists("unacked"), seconds=20)
        assert client.llen(QUEUE) == 0

    said = worker.stderr.read_text()
    lines = dropped(worker)
    assert len(lines) == len(kinds)
    assert max(line["dropped_by_this_process"] for line in lines) > len(kinds) / 2
    assert all(len(json.dumps(line)) < 400 for line in lines)
    assert "Traceback" not in said
    assert CANARY * 3 not in said
    assert not any(line["level"] in {"error", "critical"} for line in worker.lines())
    assert not (tmp_path / "touched").exists()
    assert (worker.popen.poll(), worker.children()) == (None, children)


def test_nobody_steers_a_worker_by_way_of_the_broker(worker_of: tuple[Processes, SqlStore], broker: str):
    found, store = worker_of
    worker = found.worker()
    children = worker.children()
    channel = "/0.celery.pidbox"
    commands: list[Any] = [
        {"method": "shutdown"},
        {"method": "pool_grow", "arguments": {"n": 50}},
        {"method": "pool_restart"},
        {"method": "rate_limit", "arguments": {"task_name": PROCESS, "rate_limit": "1/h"}},
        {"method": "time_limit", "arguments": {"task_name": PROCESS, "hard": 0.01}},
        {"method": "cancel_consumer", "arguments": {"queue": "playhead.slow"}},
        {"method": "add_consumer", "arguments": {"queue": "x"}},
        {"method": "revoke", "arguments": {"task_id": "x", "terminate": True}},
        {"method": "conf", "reply_to": {"exchange": "reply.celery.pidbox", "routing_key": "x"}, "ticket": "x"},
        {"method": "ping", "arguments": {"x": 1}},
        {"method": "ping", "reply_to": "x"},
        {"method": ["ping"]},
        {},
        7,
    ]
    with redis.Redis.from_url(broker) as client:
        heard = client.publish(channel, json.dumps(envelope(commands[0])))
        assert heard == 1
        for command in commands[1:]:
            client.publish(channel, json.dumps(envelope(command)))
        for garbage in (b"garbage", b"\xff", b"7", b"{}", json.dumps(envelope({"method": "ping"}, body="%%"))):
            client.publish(channel, garbage)
        wait_until(lambda: len(dropped(worker)) >= len(commands) + 5, seconds=20, log=worker.stderr)
        last = serve_one(client, store)
        wait_until(lambda: succeeded(store, last), seconds=30, log=worker.stderr)

    assert "Traceback" not in worker.stderr.read_text()
    assert (worker.popen.poll(), worker.children()) == (None, children)
    doctor = found.start("playhead", "doctor", "--json")
    doctor.popen.wait(30)
    [workers] = [check for check in json.loads(doctor.stdout.read_text()) if check["name"] == "workers"]
    assert workers["ok"]


def test_nonsense_in_the_brokers_own_keys_ends_no_worker(worker_of: tuple[Processes, SqlStore], broker: str):
    found, store = worker_of
    worker = found.worker()
    children = worker.children()
    with redis.Redis.from_url(broker) as client:
        for tag, kept in (
            ("a", b"no JSON"),
            ("b", b"[1, 2]"),
            ("c", json.dumps([{"headers": []}, "", QUEUE]).encode()),
        ):
            client.hset("unacked", tag, kept)
            client.zadd("unacked_index", {tag: 1})
        for key in ("playhead.slow", "unacked", "unacked_index"):
            before = len(dropped(worker))
            client.delete(key)
            client.set(key, "of another kind")
            client.lpush(
                QUEUE, json.dumps(envelope([["unheard-of"], {}, EMBEDDED], headers={"task": RING}))
            )  # to make it look
            wait_until(lambda before=before: len(dropped(worker)) > before, seconds=20, log=worker.stderr)
            wait_until(lambda key=key: client.type(key) != b"string", seconds=20)
        last = serve_one(client, store)
        wait_until(lambda: succeeded(store, last), seconds=30, log=worker.stderr)

    assert "Traceback" not in worker.stderr.read_text()
    assert (worker.popen.poll(), worker.children()) == (None, children)
