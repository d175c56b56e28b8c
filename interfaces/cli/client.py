"""The HTTP client of `send` and `demo`: one connection, the standard library's."""

import http
import http.client
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from domain.errors import Forbidden, InvalidRequest, Unauthenticated, Unavailable

TIMEOUT = 60


class Client:
    """Talks to a service at a URL.

    Raises:
        InvalidRequest: the URL is not one of HTTP.
    """

    def __init__(self, url: str, key: str = "") -> None:
        """`key` is shown with every request; empty shows none."""
        try:
            parts = urlsplit(url if "//" in url else f"//{url}", scheme="http")
            host, port = parts.hostname or "", parts.port
            # What else it holds would end in http.client, as errors of many kinds.
            usable = parts.scheme in {"http", "https"} and 0 < len(host) < 254 and re.fullmatch("[!-~]*", url)
        except ValueError:  # a port that is no number, an open bracket
            usable = None
        if not usable:
            raise InvalidRequest(f"{url!r} is not the URL of a service, such as http://127.0.0.1:8080.")
        if not re.fullmatch("[!-~]*", key):
            raise InvalidRequest(
                "The key has characters that no key has. Give it as `playhead keys create` printed it."
            )
        self._url = url
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(host, port, timeout=TIMEOUT)
        self._prefix = parts.path.rstrip("/")
        self._authorization = {"Authorization": f"Bearer {key}"} if key else {}

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Send a request; the answer's status, and its JSON.

        Raises:
            Unavailable: nothing answers at the URL, or something that is no Playhead.
            Unauthenticated, Forbidden: the service wants a key, or one with another scope.
        """
        try:
            self._connection.request(method, self._prefix + path, body, {**self._authorization, **(headers or {})})
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            self._connection.close()
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unavailable(
                f"No Playhead answers at {self._url} ({reason}). Start one with `playhead dev`, "
                "or name another with --url."
            ) from error
        if answer.status == http.HTTPStatus.UNAUTHORIZED:
            wrong = "takes this key for none that is good" if self._authorization else "asks for a key"
            raise Unauthenticated(
                f"The service at {self._url} {wrong}. Give one by PLAYHEAD_API_KEY or --key; "
                "`playhead keys create`, run beside the service, makes one."
            )
        try:
            found = json.loads(content)
        except ValueError:
            raise Unavailable(
                f"What answers at {self._url} is no Playhead: HTTP status {answer.status}, and no JSON."
            ) from None
        if answer.status == http.HTTPStatus.FORBIDDEN and isinstance(found, dict):
            raise Forbidden(str(found.get("detail", "")), scope="")
        return answer.status, found

    def close(self) -> None:
        """End the connection."""
        self._connection.close()
