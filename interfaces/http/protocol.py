"""The connection: uvicorn's own, with bounds on what comes before a request's body, in bytes and in seconds."""

import asyncio
import socket
from typing import Any

import uvicorn
from anyio import to_thread
from pydantic_core import to_json
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from application.feed import Feed

MAX_HEAD = 64 << 10
"""Bytes of a request's first line and its headers."""
MAX_HEADERS = 200
"""How many headers a request may have."""
HEAD_SECONDS = 10.0
"""How long they may take to come."""


class Connection(HttpToolsProtocol):
    """A connection that ends when a head is too large (431) or too slow (408). Neither begins a request."""

    _in_head = True
    _begun = 0
    _size = 0
    _headers = 0
    _received = 0
    _refused = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        before = self._begun if self._in_head else None
        super().data_received(data)
        if self._in_head and before == self._begun:
            # The parser keeps what is not a whole header yet: it is counted here.
            self._received += len(data)
            if self._received > MAX_HEAD:
                self._refuse(431, "header-too-large", f"The headers are larger than {MAX_HEAD:,} bytes.")

    def on_message_begin(self) -> None:
        self._begun += 1
        self._size = self._headers = self._received = 0
        self._expect_head()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._size += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size += len(name) + len(value)
        self._headers += 1
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        if self._size > MAX_HEAD or self._headers > MAX_HEADERS:
            limit = f"The headers are larger than {MAX_HEAD:,} bytes, or more than {MAX_HEADERS}."
            self._refuse(431, "header-too-large", limit)
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._refused:
            super().on_message_complete()

    def _expect_head(self) -> None:
        self._in_head = True
        self._stop_waiting()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._refuse(408, "request-timeout", f"The headers did not come within {HEAD_SECONDS:.0f} s.")

    def _refuse(self, status: int, code: str, detail: str) -> None:
        """Answer, unless an earlier answer is still being given, and end the connection."""
        self._refused = True
        self._stop_waiting()
        if self._begun and (self.cycle is None or self.cycle.response_complete):
            title = code.replace("-", " ").capitalize()
            body = to_json({"type": f"/problems/{code}", "title": title, "status": status, "detail": detail})
            head = f"content-type: application/problem+json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self.transport.close()


def config_of(app: Any, **options: Any) -> uvicorn.Config:
    """How uvicorn serves an application of ours. Its log lines are the request log's."""
    return uvicorn.Config(
        app, http=Connection, log_config=None, access_log=False, lifespan="off", server_header=False, **options
    )


class Server(uvicorn.Server):
    """A server that ends the streams of its application before it waits for the other requests."""

    def __init__(self, app: Any, **options: Any) -> None:
        """`options` are those of uvicorn's configuration."""
        super().__init__(config_of(app, **options))
        self._feed: Feed = app.state.api.feed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        async with asyncio.TaskGroup() as together:
            # Begun when no connection is taken any more: a reader that came again at once would be refused for good.
            together.create_task(to_thread.run_sync(self._feed.close))
            await super().shutdown(sockets)
