"""The service at scale without its broker or its index for a while, and on RabbitMQ."""

import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from amqp import PreconditionFailed
from kombu import Connection, Queue

from infrastructure.engines import subscriptions_of
from infrastructure.plugins import load_pipelines
from infrastructure.settings import Settings
from tests.end_to_end.processes import free_port, wait_until
from tests.end_to_end.slow_service import SLOW, Scale, beat, running, send
from tests.servers import Door, redis_server

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.elasticsearch]


def loses_its_broker(scale: Scale, away: AbstractContextManager[None]) -> None:
    """Take the broker away while a turn is under way, and send meanwhile."""
    worker = scale.processes.worker()
    beat(scale)
    _, client = scale.processes.serve()
    send(client, 5)
    scale.done(5)
    # A turn that outlasts the broker: its message cannot be acknowledged.
    send(client, 1, seconds=3)
    wait_until(scale.claimed, seconds=5)

    with away:
        # Long enough for waits that grow to have grown.
        for _ in range(6):
            began = time.monotonic()
            assert send(client, 5)
            assert time.monotonic() - began < 1
            time.sleep(2)
        # That turn may have taken some of them.
        assert scale.contexts()["slow", "completed"] < 36

    assert scale.done(36) < 5
    assert worker.terminate() == 0


def test_a_redis_that_was_away_costs_latency_alone(tmp_path: Path, postgres_url: str, elasticsearch_url: str) -> None:
    port = free_port()
    server = ExitStack()

    @contextmanager
    def away() -> Iterator[None]:
        server.close()
        yield
        server.enter_context(redis_server(tmp_path, port))

    with server, running(tmp_path, postgres_url, f"redis://127.0.0.1:{port}/0", elasticsearch_url) as scale:
        server.enter_context(redis_server(tmp_path, port))
        loses_its_broker(scale, away())


@pytest.mark.rabbitmq
def test_a_rabbitmq_that_was_away_costs_latency_alone(
    tmp_path: Path, postgres_url: str, rabbitmq_url: str, elasticsearch_url: str
) -> None:
    with Door.before(rabbitmq_url) as (door, broker), own_queues(rabbitmq_url) as queues:

        @contextmanager
        def away() -> Iterator[None]:
            door.shut()
            yield
            door.open()

        door.open()
        with running(tmp_path, postgres_url, broker, elasticsearch_url, pipeline_queues=queues) as scale:
            loses_its_broker(scale, away())


def test_elasticsearch_that_was_away_is_caught_up_with(
    tmp_path: Path, postgres_url: str, broker: str, elasticsearch_url: str
) -> None:
    with (
        Door.before(elasticsearch_url) as (door, elasticsearch),
        running(tmp_path, postgres_url, broker, elasticsearch) as scale,
    ):
        scale.processes.worker()
        beat(scale)
        _, client = scale.processes.serve()
        send(client, 10, emits=True)
        scale.done(10, quick=10)
        assert client.post("/search", json={"size": 0}).status_code == 503

        door.open()

        def found() -> bool:
            answer = client.post("/search", json={"size": 0})
            return answer.status_code == 200 and answer.json()["total"] == 20

        wait_until(found, seconds=20)


@contextmanager
def own_queues(url: str) -> Iterator[str]:
    """`PIPELINE_QUEUES` of a queue for all bells that no other test uses, removed at the end."""
    queue = f"test-{uuid4().hex}"
    rung = subscriptions_of(load_pipelines((SLOW,)), Settings(_env_file=None))
    yield json.dumps({name.partition(":")[0]: queue for name in rung})
    with Connection(url) as connection:
        connection.default_channel.queue_delete(queue)


@pytest.mark.rabbitmq
@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_the_same_service_on_rabbitmq(
    kind: str, tmp_path: Path, postgres_url: str, rabbitmq_url: str, elasticsearch_url: str
) -> None:
    kinds = {"pipeline_queues": "", "rabbitmq_queues": kind}
    with own_queues(rabbitmq_url) as kinds["pipeline_queues"]:
        queue = json.loads(kinds["pipeline_queues"])["slow"]
        with running(tmp_path, postgres_url, rabbitmq_url, elasticsearch_url, **kinds) as scale:
            # Not the default queue as well: other tests make that of another kind.
            worker = scale.processes.worker("--queues", queue)
            beat(scale)
            _, client = scale.processes.serve()
            send(client, 50, emits=True)
            assert scale.done(50, quick=50) < 5
            with Connection(rabbitmq_url) as connection:
                other = Queue(queue, queue_arguments={"x-queue-type": "stream"}, channel=connection.default_channel)
                with pytest.raises(
                    PreconditionFailed, match="current is none" if kind == "classic" else "current is 'quorum'"
                ):
                    other.queue_declare()
            assert worker.terminate() == 0


@pytest.mark.rabbitmq
def test_two_workers_of_one_machine_hear_side_by_side_on_rabbitmq(
    tmp_path: Path, postgres_url: str, rabbitmq_url: str, elasticsearch_url: str
) -> None:
    with (
        own_queues(rabbitmq_url) as queues,
        running(tmp_path, postgres_url, rabbitmq_url, elasticsearch_url, pipeline_queues=queues) as scale,
    ):
        workers = [scale.processes.worker(), scale.processes.worker()]
        assert [worker.terminate() for worker in workers] == [0, 0]
