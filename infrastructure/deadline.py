"""A deadline for a whole exchange over a socket, where a socket's own time-out is one for each wait."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CONNECT_SECONDS = 3.0
WHOLE_SECONDS = 15.0


class Deadline:
    """`passed` is set when the time is over; the connection is then cut, which ends any wait on it."""

    def __init__(self) -> None:
        self.passed = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def watch(self, connection: socket.socket) -> None:
        """Cut this connection when the time is over, or at once where it is."""
        with self._lock:
            self._socket = connection
            if self.passed:
                self._cut()

    def end(self) -> None:
        """The time is over."""
        with self._lock:
            self.passed = True
            self._cut()

    def _cut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                # Not the method of a TLS socket, which would take its state from the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


@contextmanager
def within(seconds: float) -> Iterator[Deadline]:
    """A deadline that ends with the block."""
    deadline = Deadline()
    timer = threading.Timer(seconds, deadline.end)
    timer.daemon = True
    timer.start()
    try:
        yield deadline
    finally:
        timer.cancel()


def secured(connection: socket.socket, tls: ssl.SSLContext, name: str, deadline: Deadline) -> ssl.SSLSocket:
    """Begin TLS with a server of this name, the handshake under the deadline too.

    Raises:
        OSError: the server is not who it should be, or does not answer so.
    """
    wrapped = tls.wrap_socket(connection, server_hostname=name, do_handshake_on_connect=False)
    deadline.watch(wrapped)
    try:
        wrapped.do_handshake()
    except BaseException:
        wrapped.close()
        raise
    return wrapped
