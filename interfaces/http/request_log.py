"""One canonical log line a request, and its counters; the request's id is answered back."""

import re
import time
from collections.abc import Callable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infrastructure.journal import LogJournal

_HEADER = "x-request-id"
_USABLE = re.compile(r"[\x21-\x7e]{1,100}")


class RequestLog:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, journal: LogJournal, new_id: Callable[[], str]) -> None:
        self._app = app
        self._journal = journal
        self._new_id = new_id
        self._log = structlog.get_logger("playhead.http")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(_HEADER, "")
        request_id = given if _USABLE.fullmatch(given) else self._new_id()
        status = 500
        began = time.perf_counter()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[_HEADER] = request_id
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "unknown")
            self._journal.request_ended(scope["method"], route, status, seconds)
            state = scope.get("state", {})
            ids = {name: state[name] for name in ("event_id", "events") if name in state}
            self._log.info(
                "request",
                method=scope["method"],
                route=route,
                status=status,
                ms=round(seconds * 1000, 1),
                request_id=request_id,
                **ids,
            )
