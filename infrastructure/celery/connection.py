"""Connections that outlive a broker that goes away or holds garbage, where kombu 5.7 ends the worker or waits long."""

from collections.abc import Hashable
from contextlib import suppress
from functools import cache
from typing import Any

import structlog
from celery import Celery
from celery.app.amqp import AMQP
from kombu import Connection

RECONNECT_SECONDS = 1.0
"""How often a worker that lost its broker looks for it."""


class _DropsGarbage:
    """A Redis channel that passes over what is no message; kombu's own ends the worker."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # of kombu's channel
        except (ValueError, KeyError, TypeError) as error:
            structlog.get_logger("playhead").warning("message_dropped", reason=f"no message: {error!r}"[:200])
            return True


@cache
def _lenient(transport: Hashable) -> Any:
    """The same transport, where it is Redis with channels that drop garbage."""
    channel: Any = getattr(transport, "Channel", None)
    if not hasattr(channel, "_brpop_read"):
        return transport
    known: Any = transport
    return type("Transport", (known,), {"Channel": type("Channel", (_DropsGarbage, channel), {})})


class _Connection(Connection):
    """A connection that is tried again at an even pace; kombu's own waits grow to 30 s and have no setting."""

    def get_transport_cls(self) -> Any:
        found: Any = super().get_transport_cls()
        return _lenient(found)

    def maybe_close_channel(self, channel: Any) -> None:
        # kombu 5.7 gives messages back to a Redis that is gone, fails with this, and ends the worker.
        with suppress(AttributeError):
            super().maybe_close_channel(channel)

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        even = {"interval_start": RECONNECT_SECONDS, "interval_step": 0, "interval_max": RECONNECT_SECONDS}
        return super().ensure_connection(*args, **{**options, **even})


class _Amqp(AMQP):
    Connection = _Connection


class LastingCelery(Celery):
    """A Celery whose workers outlive what their broker does."""

    amqp_cls = f"{__name__}:_Amqp"
