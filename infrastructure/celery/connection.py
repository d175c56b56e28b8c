"""Connections that outlive a broker that goes away or holds garbage, where kombu 5.7 ends the worker or waits long."""

from collections.abc import Hashable
from functools import cache
from typing import Any

import redis
import structlog
from celery import Celery
from celery.app.amqp import AMQP
from kombu import Connection

RECONNECT_SECONDS = 1.0
"""How often a worker that lost its broker looks for it."""


class _Outlives:
    """What a Redis channel does where kombu's own ends the worker."""

    def _connparams(self, *args: Any, **options: Any) -> Any:
        """Fail as a lost connection does, once this channel's connection is gone.

        A turn that outlasts its broker is acknowledged to a channel whose connection was closed meanwhile; kombu then
        fails with an AttributeError, which Celery does not expect.
        """
        if getattr(getattr(self, "connection", None), "client", None) is None:
            raise redis.ConnectionError("the connection to the broker was lost")
        return super()._connparams(*args, **options)  # type: ignore[misc]  # of kombu's channel

    def _brpop_read(self, **options: Any) -> Any:
        """Pass over what is no message."""
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # of kombu's channel
        except (ValueError, KeyError, TypeError) as error:
            structlog.get_logger("playhead").warning("message_dropped", reason=f"no message: {error!r}"[:200])
            return True


@cache
def _lenient(transport: Hashable) -> Any:
    """The same transport, where it is Redis with channels that outlive more."""
    channel: Any = getattr(transport, "Channel", None)
    if not hasattr(channel, "_brpop_read"):
        return transport
    known: Any = transport
    return type("Transport", (known,), {"Channel": type("Channel", (_Outlives, channel), {})})


class _Connection(Connection):
    """A connection that is tried again at an even pace; kombu's own waits grow to 30 s and have no setting."""

    def get_transport_cls(self) -> Any:
        found: Any = super().get_transport_cls()
        return _lenient(found)

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        even = {"interval_start": RECONNECT_SECONDS, "interval_step": 0, "interval_max": RECONNECT_SECONDS}
        return super().ensure_connection(*args, **{**options, **even})


def reach(url: str) -> str:
    """Connect to a broker as the service does, within some seconds; where it is.

    Raises:
        kombu.exceptions.OperationalError, OSError, ImportError: it cannot be reached so.
    """
    with _Connection(url, connect_timeout=2, transport_options={"socket_connect_timeout": 2}) as connection:
        connection.ensure_connection(max_retries=1, timeout=3)
        return f"{connection.transport.driver_type} at {connection.host}"


class _Amqp(AMQP):
    Connection = _Connection


class LastingCelery(Celery):
    """A Celery whose workers outlive what their broker does."""

    amqp_cls = f"{__name__}:_Amqp"
