"""Celery's settings: each one that matters is pinned here, with what it is for."""

import pytest
from kombu import Exchange

from infrastructure.celery.app import make_celery, queue_of
from infrastructure.settings import Settings

POSTGRES = "postgresql+psycopg://nobody@127.0.0.1/nothing"
REDIS = "redis://127.0.0.1:1/3"
AMQP = "amqp://guest:guest@127.0.0.1:1//"


def settings_of(broker: str = REDIS, **changes) -> Settings:
    return Settings(_env_file=None, **{"database_url": POSTGRES, "celery_broker_url": broker, **changes})


PINNED = [
    ("broker_url", REDIS, "the one setting that chooses Redis or RabbitMQ"),
    ("result_backend", REDIS, "Redis by default"),
    ("result_expires", 3600, "answers do not pile up"),
    ("task_ignore_result", False, "a client that sends a task may ask for its answer"),
    ("accept_content", ["json"], "nothing that a broker holds can run"),
    ("result_accept_content", ["json"], "nor what a result backend holds"),
    ("task_serializer", "json", "readable"),
    ("result_serializer", "json", "readable"),
    ("event_serializer", "json", "readable"),
    ("enable_utc", True, "one time everywhere"),
    ("timezone", "UTC", "one time everywhere"),
    ("task_default_queue", "playhead", "the queue of a stranger who names none"),
    ("task_default_exchange", "", "an emptied Redis loses no bindings"),
    ("task_default_routing_key", "playhead", "the anonymous exchange routes by queue name"),
    ("task_acks_late", True, "a bell is done when its turn is"),
    ("task_reject_on_worker_lost", True, "the bell of a killed worker wakes another"),
    ("task_publish_retry", False, "the dispatcher tries again; nobody waits in between"),
    ("worker_prefetch_multiplier", 1, "a bell waits in the broker, where any worker hears it"),
    ("worker_disable_prefetch", True, "also on Redis, where that number drifts"),
    ("worker_max_tasks_per_child", 10_000, "a process is renewed"),
    ("worker_concurrency", 2, "processes"),
    ("worker_consumer", "infrastructure.celery.consumer:StrictConsumer", "what is not ours is dropped in one line"),
    ("worker_hijack_root_logger", False, "our log lines"),
    ("worker_redirect_stdouts", False, "our output"),
    ("worker_send_task_events", False, "no message nobody reads"),
    ("worker_cancel_long_running_tasks_on_connection_loss", False, "a turn needs no broker"),
    ("broker_channel_error_retry", True, "a broker that holds nonsense ends no worker"),
    ("broker_connection_retry_on_startup", True, "a broker that is away is waited for"),
    ("broker_connection_max_retries", None, "for ever"),
    ("broker_connection_timeout", 3.0, "no hang"),
    ("broker_heartbeat", 10, "a dead connection is noticed"),
]


@pytest.mark.parametrize(("name", "value", "purpose"), PINNED)
def test_a_setting_is_pinned(name: str, value: object, purpose: str) -> None:
    assert make_celery(settings_of(), ["flights"]).conf[name] == value, purpose


@pytest.mark.parametrize(
    ("broker", "options"),
    [
        (
            REDIS,
            {
                "socket_connect_timeout": 3,
                "socket_timeout": 10,
                "socket_keepalive": True,
                "health_check_interval": 10,
                "visibility_timeout": 60,
            },
        ),
        (AMQP, {"confirm_publish": True, "connect_timeout": 3, "read_timeout": 5, "write_timeout": 5}),
    ],
)
def test_no_call_to_a_broker_hangs(broker: str, options: dict[str, object]) -> None:
    assert make_celery(settings_of(broker), []).conf.broker_transport_options == options


def test_rabbitmq_needs_one_url_and_keeps_no_answers() -> None:
    conf = make_celery(settings_of(AMQP), []).conf

    assert (conf.broker_url, conf.result_backend, conf.task_ignore_result) == (AMQP, None, True)
    assert not conf.worker_disable_prefetch


@pytest.mark.parametrize(
    ("broker", "kind", "arguments"),
    [
        (AMQP, "classic", None),
        (AMQP, "quorum", {"x-queue-type": "quorum"}),
        (REDIS, "quorum", None),
    ],
)
def test_queues_are_made_of_the_type_that_is_asked_for_by_who_hears_and_who_rings(
    broker: str, kind: str, arguments: object
) -> None:
    app = make_celery(settings_of(broker, rabbitmq_queues=kind), ["flights"])

    assert [queue.queue_arguments for queue in app.conf.task_queues] == [arguments] * 2
    assert app.conf.task_create_missing_queue_type == kind


def test_answers_may_be_kept_elsewhere() -> None:
    assert make_celery(settings_of(AMQP, celery_result_backend=REDIS), []).conf.result_backend == REDIS


def test_a_worker_hears_the_queues_of_the_loaded_pipelines_and_ours_through_the_anonymous_exchange() -> None:
    settings = settings_of(pipeline_queues={"flights": "bulk", "not_loaded": "elsewhere"})

    queues = make_celery(settings, ["flights", "very_late", "index"]).conf.task_queues

    assert queue_of(settings, "index") == "playhead.index"

    assert {(queue.name, queue.exchange, queue.routing_key) for queue in queues} == {
        (name, Exchange(""), name) for name in ("bulk", "playhead.very_late", "playhead.index", "playhead")
    }
