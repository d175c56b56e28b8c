"""What a worker consumes: messages that name one thing to look at. It counts and drops all others, in a line each."""

from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer
from celery.worker.consumer.control import Control
from kombu import compression

from infrastructure.celery.messages import is_ping, kept_of, refusal_of

# No message waits in the broker for its time, so that none of the queues for that is made beside quorum queues.
_STEPS = [step for step in Consumer.Blueprint.default_steps if not str(step).endswith((":Control", ":DelayedDelivery"))]


class StrictControl(Control):
    """Remote commands: a worker says that it is there. Nobody stops, steers or asks it by way of the broker."""

    box: Any

    def __init__(self, c: Any, **options: Any) -> None:
        super().__init__(c, **options)
        self.box.node.handlers = {"ping": self.box.node.handlers["ping"]}
        answer = self.box.on_message

        def on_message(body: object, message: Any) -> None:
            if is_ping(body, message.headers):
                answer(body, message)
            else:
                c.app.dropped("a remote command that is not ping")

        self.box.on_message = on_message


class StrictConsumer(Consumer):
    """Celery's consumer behind a door. Workers do not listen to each other, whichever options start them."""

    app: Any
    connection_errors: Any
    Blueprint = type(
        "Blueprint",
        (Consumer.Blueprint,),
        {"default_steps": [*_STEPS, StrictControl]},
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        for content_type in compression.encoders():
            # A kilobyte of it may be a gigabyte, and kombu unpacks before anybody is asked.
            compression.register(_refuse, _refuse, content_type)
        super().__init__(*args, **{**options, "without_gossip": True, "without_mingle": True})

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        handle = super().create_task_handler(*args, **options)

        def on_task_received(message: Any) -> None:
            refusal = refusal_of(message.content_type, message.content_encoding, message.headers, message.body)
            if refusal is not None:
                self._drop(message, refusal)
                return
            message.headers = kept_of(message.headers)
            handle(message)

        return on_task_received

    def on_unknown_message(self, body: object, message: Any) -> None:  # noqa: ARG002  # Celery's signature
        self._drop(message, "no task")

    def on_unknown_task(self, body: object, message: Any, exc: object) -> None:  # noqa: ARG002  # Celery's signature
        self._drop(message, "a task that is not ours")

    def on_invalid_task(self, body: object, message: Any, exc: object) -> None:  # noqa: ARG002  # Celery's signature
        self._drop(message, f"invalid: {type(exc).__name__}")

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        self._drop(message, f"cannot be read: {type(exc).__name__}")

    def _drop(self, message: Any, reason: str) -> None:
        self.app.dropped(reason)
        # Acknowledged, so that it is gone; what a broken connection leaves comes again.
        message.ack_log_error(_Quiet, self.connection_errors)


class _Quiet:
    """What ack_log_error tells of a connection that was lost, which is said elsewhere."""

    @staticmethod
    def critical(*_: Any, **__: Any) -> None: ...


def _refuse(_: object) -> bytes:
    raise ValueError("a compressed message is not read")
