"""The HTTP client of `send` and `demo`: one connection, the standard library's."""

import http.client
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from domain.errors import InvalidRequest, Unavailable

TIMEOUT = 60


class Client:
    """Talks to a service at a URL.

    Raises:
        InvalidRequest: the URL is not one of HTTP.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url if "//" in url else f"//{url}", scheme="http")
            host, port = parts.hostname or "", parts.port
            # What else it holds would end in http.client, as errors of many kinds.
            usable = parts.scheme in {"http", "https"} and 0 < len(host) < 254 and re.fullmatch("[!-~]*", url)
        except ValueError:  # a port that is no number, an open bracket
            usable = None
        if not usable:
            raise InvalidRequest(f"{url!r} is not the URL of a service, such as http://127.0.0.1:8080.")
        self._url = url
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(host, port, timeout=TIMEOUT)
        self._prefix = parts.path.rstrip("/")

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Send a request; the answer's status, and its JSON.

        Raises:
            Unavailable: nothing answers at the URL, or something that is no Playhead.
        """
        try:
            self._connection.request(method, self._prefix + path, body, dict(headers or {}))
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            self._connection.close()
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unavailable(
                f"No Playhead answers at {self._url} ({reason}). Start one with `playhead dev`, "
                "or name another with --url."
            ) from error
        try:
            return answer.status, json.loads(content)
        except ValueError:
            raise Unavailable(
                f"What answers at {self._url} is no Playhead: HTTP status {answer.status}, and no JSON."
            ) from None

    def close(self) -> None:
        """End the connection."""
        self._connection.close()
