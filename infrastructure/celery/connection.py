"""Connections that outlive a broker that goes away or holds garbage, where kombu 5.7 ends the worker or waits long."""

import json
from collections.abc import Callable, Hashable
from functools import cache
from queue import Empty
from typing import Any

import redis
import structlog
from celery import Celery
from celery.app.amqp import AMQP
from kombu import Connection

from infrastructure.celery.messages import is_envelope

RECONNECT_SECONDS = 1.0
"""How often a worker that lost its broker looks for it."""


class _Outlives:
    """What a Redis channel does where kombu's own ends the worker."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._remove_wrong_keys()

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
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            self._drop(f"no message: {type(error).__name__}")
            return True
        except redis.ResponseError as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
            self._remove_wrong_keys()
            return True

    def _remove_wrong_keys(self) -> None:
        """Remove keys of ours that are of another kind than ours are: no message can be in them, or come by them."""
        channel: Any = self
        queues = [channel._q_for_pri(queue, pri) for queue in channel.active_queues for pri in channel.priority_steps]  # noqa: SLF001  # of kombu's channel
        kinds = {**dict.fromkeys(queues, b"list"), channel.unacked_key: b"hash", channel.unacked_index_key: b"zset"}
        with channel.conn_or_acquire() as client:
            for key, kind in kinds.items():
                if client.type(key) not in {b"none", kind}:
                    client.delete(key)
                    self._drop("no message: a key of another kind")

    def _receive_one(self, client: Any) -> Any:
        """Pass over what is no message to all."""
        return super()._receive_one(_Heard(client, self._drop))  # type: ignore[misc]  # of kombu's channel

    def _drop(self, reason: str) -> None:
        self.connection.client.dropped(reason)  # type: ignore[attr-defined]  # of kombu's channel


class _Heard:
    """A client of Redis that hears nothing but what can be read; kombu tells of the rest at length."""

    def __init__(self, client: Any, drop: Callable[[str], None]) -> None:
        self._client = client
        self._drop = drop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def parse_response(self) -> Any:
        heard = self._client.parse_response()
        if isinstance(heard, list) and heard and bytes(heard[0]).endswith(b"message"):
            try:
                json.loads(heard[-1])
            except (ValueError, TypeError, RecursionError):
                self._drop("no message: not JSON")
                raise Empty from None
        return heard


class _OutlivesQoS:
    """What Redis keeps of messages in work, where kombu's own would stumble over it for ever."""

    def restore_by_tag(self, tag: Any, client: Any = None, *, leftmost: bool = False) -> None:
        """Put a message back that nobody acknowledged; one that is none is removed."""
        try:
            super().restore_by_tag(tag, client, leftmost)  # type: ignore[misc]  # of kombu's QoS
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            channel: Any = self.channel  # type: ignore[attr-defined]  # of kombu's QoS
            with channel.conn_or_acquire(client) as connection, connection.pipeline() as pipe:
                pipe.zrem(self.unacked_index_key, tag).hdel(self.unacked_key, tag).execute()  # type: ignore[attr-defined]  # of kombu's QoS
            channel._drop(f"no message to put back: {type(error).__name__}")  # noqa: SLF001  # our own


class _OutlivesTransport:
    """Looks at an envelope before anything is made of it."""

    def _deliver(self, message: object, queue: str) -> None:
        if is_envelope(message):
            super()._deliver(message, queue)  # type: ignore[misc]  # of kombu's transport
        else:
            self.client.dropped("no message: not an envelope")  # type: ignore[attr-defined]  # of kombu's transport


@cache
def _lenient(transport: Hashable) -> Any:
    """The same transport, where it is Redis with channels that outlive more."""
    channel: Any = getattr(transport, "Channel", None)
    if not hasattr(channel, "_brpop_read"):
        return transport
    known: Any = transport
    qos = type("QoS", (_OutlivesQoS, channel.QoS), {})
    lasting = type("Channel", (_Outlives, channel), {"QoS": qos})
    return type("Transport", (_OutlivesTransport, known), {"Channel": lasting})


class _Connection(Connection):
    """A connection that is tried again at an even pace; kombu's own waits grow to 30 s and have no setting."""

    @staticmethod
    def dropped(reason: str) -> None:
        """What was no message; an application's connections count it."""

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
    @property
    def Connection(self) -> type[_Connection]:  # type: ignore[override]  # noqa: N802  # kombu's name, its attribute
        """Connections that tell their application what they dropped."""
        app: Any = self.app
        return type("Connection", (_Connection,), {"dropped": staticmethod(app.dropped)})


class LastingCelery(Celery):
    """A Celery whose workers outlive what their broker does."""

    amqp_cls = f"{__name__}:_Amqp"

    @staticmethod
    def dropped(reason: str) -> None:
        """A message was dropped; a worker counts it."""
        structlog.get_logger("playhead").warning("message_dropped", reason=reason)
