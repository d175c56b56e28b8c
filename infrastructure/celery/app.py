"""The Celery application: every setting that matters, pinned. Nothing that must hold depends on any of them."""

from collections.abc import Iterable

from kombu import Exchange, Queue

from infrastructure.celery.connection import LastingCelery
from infrastructure.settings import DEFAULT_QUEUE, Settings

PROCESS = "process_incoming_event"
RING = "ring"
"""The two tasks, by their names on the wire."""
BELL_EXPIRES = 30.0
"""Seconds after which a bell is passed over. Longer than turns keep it waiting; by then the sweep has rung again."""


def queue_of(settings: Settings, subscription: str) -> str:
    """The queue that a subscription rings on: one of its own, so that no other's bells are before its own.

    The lanes of a pipeline share the pipeline's.
    """
    name = subscription.partition(":")[0]
    return settings.pipeline_queues.get(name, f"{DEFAULT_QUEUE}.{name}")


def make_celery(settings: Settings, subscriptions: Iterable[str]) -> LastingCelery:
    """An application that knows the queues of these subscriptions. Nothing is connected."""
    names = sorted({DEFAULT_QUEUE, *(queue_of(settings, name) for name in subscriptions)})
    app = LastingCelery("playhead", set_as_current=False)
    app.conf.update(
        broker_url=settings.celery_broker_url,
        result_backend=settings.result_backend,
        result_expires=3600,
        # Our own rings ask for no answer; a client that sends a task may.
        task_ignore_result=settings.result_backend is None,
        # JSON only, in and out: what the broker holds is readable, and cannot run.
        accept_content=["json"],
        result_accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        event_serializer="json",
        enable_utc=True,
        timezone="UTC",
        # The anonymous exchange routes by queue name. A named exchange keeps its bindings in Redis, and an emptied
        # Redis would then drop every message without a word.
        task_queues=[
            Queue(name, Exchange(""), routing_key=name, queue_arguments=_queue_arguments(settings)) for name in names
        ],
        task_default_queue=DEFAULT_QUEUE,
        task_create_missing_queue_type=settings.rabbitmq_queues,
        task_default_exchange="",
        task_default_routing_key=DEFAULT_QUEUE,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        # On Redis the number above drifts upward with late acknowledgements; RabbitMQ keeps to it, and warns of this.
        worker_disable_prefetch=not settings.celery_broker_url.startswith("amqp"),
        worker_max_tasks_per_child=settings.worker_max_tasks_per_child,
        worker_concurrency=settings.worker_concurrency,
        worker_consumer="infrastructure.celery.consumer:StrictConsumer",
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_channel_error_retry=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=3.0,
        broker_heartbeat=10,
        broker_transport_options=_transport_options(settings.celery_broker_url),
    )
    return app


def workers_that_hear(settings: Settings) -> list[str]:
    """The names of the workers that answer within a second."""
    with make_celery(settings, ()) as app:
        return sorted(name for answer in app.control.ping(timeout=1.0) or () for name in answer)


def _queue_arguments(settings: Settings) -> dict[str, str] | None:
    # Only where it is asked for: a queue that is declared with other arguments than it has is refused.
    if settings.rabbitmq_queues == "classic" or not settings.celery_broker_url.startswith("amqp"):
        return None
    return {"x-queue-type": settings.rabbitmq_queues}


def _transport_options(url: str) -> dict[str, object]:
    if url.startswith("amqp"):
        # A line that says nothing is waited for up to three times before it is dialled again.
        return {"confirm_publish": True, "connect_timeout": 3, "read_timeout": 5, "write_timeout": 5}
    return {
        "socket_connect_timeout": 3,
        "socket_timeout": 10,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "visibility_timeout": 60,
    }
