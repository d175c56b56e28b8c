"""The doorbell on real brokers: what arrives, in which form, and that a broker that was away costs only latency."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from kombu import Connection, Exchange, Queue

from application.engine import TURN_SECONDS
from infrastructure.celery.app import BELL_EXPIRES, PROCESS, RING, make_celery
from infrastructure.celery.dispatcher import CeleryDispatcher
from infrastructure.settings import Settings
from tests.end_to_end.processes import free_port
from tests.factories import event_id
from tests.servers import Door, redis_server

POSTGRES = "postgresql+psycopg://nobody@127.0.0.1/nothing"


def settings_of(broker: str, queue: str) -> Settings:
    return Settings(_env_file=None, database_url=POSTGRES, celery_broker_url=broker, pipeline_queues={"flights": queue})


def received(url: str, queue: str, *, seconds: float = 5.0) -> dict[str, object]:
    """The next message of a queue, its body read as JSON."""
    with Connection(url) as connection:
        messages = connection.SimpleQueue(Queue(queue, Exchange(""), routing_key=queue), no_ack=True)
        message = messages.get(timeout=seconds)
        messages.close()
    assert message.content_type == "application/json"
    return {"headers": message.headers, "body": json.loads(message.body)}


@pytest.fixture
def queue(request: pytest.FixtureRequest) -> Iterator[str]:
    """A queue that no other test uses."""
    name = f"test-{uuid4().hex}"
    yield name
    for url in {request.getfixturevalue(name) for name in request.fixturenames if name.endswith("_url")}:
        with Connection(url) as connection:
            connection.default_channel.queue_delete(name)


def assert_rings(broker: str, queue: str) -> None:
    dispatcher = CeleryDispatcher.to(settings_of(broker, queue))
    dispatcher.ring("flights", event_id=event_id(1))
    bell = received(broker, queue)
    dispatcher.ring("flights")
    ring = received(broker, queue)

    assert (bell["headers"]["task"], bell["body"][0]) == (PROCESS, [event_id(1)])
    assert (ring["headers"]["task"], ring["body"][0]) == (RING, ["flights"])
    for message in (bell, ring):
        headers = message["headers"]
        lasts = datetime.fromisoformat(headers["expires"]) - datetime.now(UTC)
        assert TURN_SECONDS < lasts.total_seconds() <= BELL_EXPIRES
        assert headers["ignore_result"]


@pytest.mark.redis
def test_bells_arrive_on_the_pipelines_queue_as_json_on_redis(redis_url: str, queue: str) -> None:
    assert_rings(redis_url, queue)


@pytest.mark.rabbitmq
def test_bells_arrive_on_the_pipelines_queue_as_json_on_rabbitmq(rabbitmq_url: str, queue: str) -> None:
    with Connection(rabbitmq_url) as connection:
        connection.default_channel.queue_declare(queue, durable=True, auto_delete=False)
    assert_rings(rabbitmq_url, queue)


@pytest.mark.redis
@pytest.mark.usefixtures("redis_url")
def test_a_redis_that_was_emptied_still_delivers(tmp_path: Path) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    with redis_server(tmp_path, port):
        dispatcher = CeleryDispatcher.to(settings_of(url, "bulk"))
        dispatcher.ring("flights", event_id=event_id(1))
        received(url, "bulk")
        with redis.Redis(port=port) as client:
            client.flushall()

        dispatcher.ring("flights", event_id=event_id(2))

        assert received(url, "bulk")["body"][0] == [event_id(2)]


@pytest.mark.redis
@pytest.mark.usefixtures("redis_url")
def test_a_broker_that_is_away_delays_nobody_and_is_rung_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    dispatcher = CeleryDispatcher.to(settings_of(url, "bulk"))
    with redis_server(tmp_path, port):
        dispatcher.ring("flights", event_id=event_id(1))
        received(url, "bulk")

    began = time.monotonic()
    dispatcher.ring("flights", event_id=event_id(2))
    assert time.monotonic() - began < 0.1
    time.sleep(1)
    dispatcher.ring("flights", event_id=event_id(3))

    with redis_server(tmp_path, port):
        assert received(url, "bulk", seconds=4)["body"][0] == [event_id(3)]


def assert_silence_delays_nobody(broker: str, queue: str) -> None:
    with Door.before(broker) as (door, url):
        door.open()
        dispatcher = CeleryDispatcher.to(settings_of(url, queue))
        dispatcher.ring("flights", event_id=event_id(1))
        received(broker, queue)

        door.silence()
        began = time.monotonic()
        dispatcher.ring("flights", event_id=event_id(2))
        assert time.monotonic() - began < 0.1
        time.sleep(1)
        door.speak()
        assert received(broker, queue, seconds=30)["body"][0] == [event_id(2)]


@pytest.mark.redis
def test_a_redis_that_falls_silent_delays_nobody_and_is_dialled_again(redis_url: str, queue: str) -> None:
    assert_silence_delays_nobody(redis_url, queue)


@pytest.mark.rabbitmq
def test_a_rabbitmq_that_falls_silent_delays_nobody_and_is_dialled_again(rabbitmq_url: str, queue: str) -> None:
    with Connection(rabbitmq_url) as connection:
        connection.default_channel.queue_declare(queue, durable=True, auto_delete=False)
    assert_silence_delays_nobody(rabbitmq_url, queue)


def test_a_lost_broker_is_looked_for_at_an_even_pace() -> None:
    """By itself kombu waits 2 s longer each time, up to 30 s: no bell would be heard soon after a long absence."""
    waits: list[float] = []

    class Enough(Exception):
        pass

    def note(_: Exception, wait: float) -> None:
        waits.append(wait)
        if len(waits) == 3:
            raise Enough

    connection = make_celery(settings_of(f"redis://127.0.0.1:{free_port()}/0", "bulk"), []).connection_for_read()
    with pytest.raises(Enough):
        connection.ensure_connection(note, None)

    assert waits == [1.0, 1.0, 1.0]
