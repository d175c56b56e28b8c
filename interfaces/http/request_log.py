"""One canonical log line a request, and its counters; the request's id is answered back, whatever went wrong."""

import re
import time
from collections.abc import Callable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infrastructure.journal import LogJournal
from interfaces.http.errors import unexpected

_HEADER = "x-request-id"
_CLIENT_LEFT = 499
"""Logged, and answered to nobody: the client left before its request was read."""
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
        begun = False
        status = 500
        began = time.perf_counter()

        async def answer(message: Message) -> None:
            nonlocal begun, status
            if message["type"] == "http.response.start":
                begun, status = True, message["status"]
                MutableHeaders(scope=message)[_HEADER] = request_id
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except ClientDisconnect:
            status = _CLIENT_LEFT
        except Exception:
            self._log.exception("request_failed", request_id=request_id)
            if begun:
                raise
            await unexpected(scope["path"])(scope, receive, answer)
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "unknown")
            self._journal.request_ended(scope["method"], route, status, seconds)
            state = scope.get("state", {})
            ids = {name: state[name] for name in ("event_id", "events", "key") if name in state}
            self._log.info(
                "request",
                method=scope["method"],
                route=route,
                status=status,
                ms=round(seconds * 1000, 1),
                request_id=request_id,
                **ids,
            )
