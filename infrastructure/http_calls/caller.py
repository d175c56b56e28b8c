"""HttpCaller: one signed request to a guarded address; no redirect is followed, no proxy asked."""

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import cached_property
from importlib.metadata import version

from application.ports.caller import MAX_ANSWER, Answer, Caller, CallResult
from domain.effects import Call, HttpCall
from domain.errors import PermanentError
from domain.outgoing import Place, place_of
from infrastructure.deadline import CONNECT_SECONDS, WHOLE_SECONDS, Deadline, secured, within
from infrastructure.http_calls.guard import Guard, Refused
from infrastructure.http_calls.signature import signed

_GONE = 410
_ASK_TO_WAIT = {429, 503}


class HttpCaller(Caller):
    """Calls web servers. Threads may share it."""

    def __init__(
        self,
        guard: Guard,
        *,
        secrets: Sequence[bytes] = (),
        seconds: float = WHOLE_SECONDS,
        clock: Callable[[], float] = time.time,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`secrets` sign each call; without them calls are unsigned. `tls` verifies servers, as the system does."""
        self._guard = guard
        self._secrets = tuple(secrets)
        self._seconds = seconds
        self._clock = clock
        self._given_tls = tls

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made with the first call that needs it: reading the system's certificates takes 50 ms."""
        return self._given_tls or ssl.create_default_context()

    def call(self, call: Call, *, effect_id: str) -> CallResult:
        assert isinstance(call, HttpCall)
        try:
            place = place_of(call.url)
            with within(self._seconds) as deadline:
                try:
                    return self._exchange(call, place, effect_id, deadline)
                except (OSError, http.client.HTTPException) as error:
                    if not deadline.passed:
                        raise
                    raise TimeoutError(f"no whole answer within {self._seconds:g} s") from error
        except (Refused, PermanentError) as error:
            return CallResult(phase="failed", error=str(error))
        except (OSError, http.client.HTTPException) as error:
            return CallResult(phase="failed", error=f"{type(error).__name__}: {error}")

    def _exchange(self, call: HttpCall, place: Place, effect_id: str, deadline: Deadline) -> CallResult:
        addresses = self._guard.addresses_of(place)
        tls = self._tls if place.scheme == "https" else None
        connection = _Connection(place, addresses, deadline, tls, self._seconds)
        try:
            connection.request(call.method, place.path, call.content or None, self._headers(call, place, effect_id))
            response = connection.getresponse()
            body = response.read(MAX_ANSWER)
        finally:
            connection.close()
        if deadline.passed:
            raise TimeoutError  # cut off: what was read is not the whole
        return self._result(response.status, response.headers, body)

    def _headers(self, call: HttpCall, place: Place, effect_id: str) -> dict[str, str]:
        content = call.content
        media_type = "text/plain; charset=utf-8" if isinstance(call.body, str) else "application/json"
        given = {name.lower() for name in call.headers}
        own = {"user-agent": f"playhead/{version('playhead')}"}
        if content:
            own["content-type"] = media_type
        return {
            "host": place.header,
            "accept-encoding": "identity",
            **{name: value for name, value in own.items() if name not in given},
            **call.headers,
            **signed(effect_id, int(self._clock()), content, self._secrets),
        }

    def _result(self, status: int, headers: Message, body: bytes) -> CallResult:
        charset = headers.get_content_charset("utf-8")
        answer = Answer(status=status, content_type=headers.get("content-type"), body=_text(body, charset))
        if 200 <= status < 300:
            return CallResult(phase="done", answer=answer)
        if status == _GONE:
            return CallResult(phase="gave_up", answer=answer, gone=True, error="The endpoint is gone (410).")
        redirects = " Redirects are not followed: declare the new URL." if 300 <= status < 400 else ""
        wait = self._wait(headers.get("retry-after")) if status in _ASK_TO_WAIT else None
        return CallResult(phase="failed", answer=answer, retry_after=wait, error=f"It answered {status}.{redirects}")

    def _wait(self, text: str | None) -> float | None:
        """Seconds of a Retry-After (RFC 9110, section 10.2.3): a number, or a date."""
        if text is None:
            return None
        if text.isascii() and text.strip().isdigit():
            return float(text)
        try:
            until = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        return max(0.0, (until - datetime.fromtimestamp(self._clock(), UTC)).total_seconds()) if until.tzinfo else None


class _Connection(http.client.HTTPConnection):
    """A connection to one of the addresses that were judged, whatever the name's addresses are by now."""

    def __init__(
        self, place: Place, addresses: Sequence[str], deadline: Deadline, tls: ssl.SSLContext | None, seconds: float
    ) -> None:
        super().__init__(place.host, place.port)
        self._place = place
        self._addresses = addresses
        self._deadline = deadline
        self._tls = tls
        self._seconds = seconds

    def connect(self) -> None:
        plain = self._connected()
        plain.settimeout(self._seconds)
        self.sock = plain
        self._deadline.watch(plain)
        if self._tls is not None:
            self.sock = secured(plain, self._tls, self._place.host, self._deadline)

    def _connected(self) -> socket.socket:
        seconds = min(CONNECT_SECONDS, self._seconds)
        for address in self._addresses[:-1]:
            with suppress(OSError):
                return socket.create_connection((address, self._place.port), seconds)
        return socket.create_connection((self._addresses[-1], self._place.port), seconds)


def _text(body: bytes, charset: str) -> str:
    """The text of an answer, which can be stored whatever charset was said."""
    try:
        text = body.decode(charset, errors="replace")
    except (LookupError, ValueError):
        text = body.decode(errors="replace")
    return text.encode(errors="replace").decode()  # some charsets give halves of surrogate pairs
