"""The HTTP server of `dev` and `serve`: one process, stopped cleanly by Ctrl-C or SIGTERM."""

import errno
import signal
import socket
from typing import TYPE_CHECKING

from interfaces.cli import output

if TYPE_CHECKING:
    from infrastructure.container import Container

DRAIN_SECONDS = 10
"""How long requests may take to end. With what the engine may take as long for, a stop takes at most 25 s."""


def run(container: "Container", *, migrate: bool) -> None:
    """Serve until a signal comes.

    Raises:
        Misconfigured: the database needs migrations, or another service runs on its file.
    """
    from infrastructure.service import Service
    from interfaces.http.app import create_app
    from interfaces.http.protocol import Server

    settings = container.settings()
    listener = listen(settings.host, settings.port)
    service = Service(container)
    try:
        service.prepare(migrate=migrate)
        service.open_index()
        service.start_engine()
        server = Server(create_app(container), timeout_graceful_shutdown=DRAIN_SECONDS)
        _say_how_to_make_a_key(container)
        host, port = listener.getsockname()[:2]
        output.say(f"Playhead on http://{host}:{port}, state in {_state(container)}. Ctrl-C stops it.")
        for number in (signal.SIGINT, signal.SIGTERM):
            # The server raises the signal again once it has stopped; the engine is to be stopped after it.
            signal.signal(number, lambda *_: None)
        server.run(sockets=[listener])
    finally:
        listener.close()
        service.stop()


def _say_how_to_make_a_key(container: "Container") -> None:
    """Say it where keys are asked for and there is none: until then nobody can call."""
    from application.use_cases.keys import has_good_key
    from infrastructure.settings import typed

    if container.settings().needs_keys and not has_good_key(keys=container.api_keys()):
        output.say(f"Requests need a key, and there is none yet. Make one: {typed('keys create NAME --scope admin')}")


def listen(host: str, port: int) -> socket.socket:
    """Take the port before anything else is done, so that a taken one is said at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        reason = f"port {port} is taken" if error.errno == errno.EADDRINUSE else str(error)
        output.fail(
            f"cannot listen on {host}:{port}: {reason}. Give others by --host and --port; PORT=0 is any free one.",
            output.NOT_CONFIGURED,
        )
    return listener


def _state(container: "Container") -> str:
    settings = container.settings()
    return "the database of DATABASE_URL" if settings.database_url else str(settings.playhead_home.absolute())
