"""The mail server and the sender's address, as the settings name them."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote, urlsplit

_SENDER = re.compile(r"(?:[^\x00-\x1f<>@]*<)?[^\s<>@]+@(?P<domain>[A-Za-z0-9.-]+)>?")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """The mail server of the settings."""

    host: str
    port: int
    user: str | None = None
    password: str | None = None
    tls: bool = False
    starttls: bool = False

    @classmethod
    def of(cls, url: str) -> Self:
        """Read `smtp://user:password@host:587?starttls=1` or `smtps://…`.

        Raises:
            ValueError: it is neither; or it asks for what there is not, as a misspelt STARTTLS.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise ValueError("must be as smtp://host:25, smtp://user:password@host:587?starttls=1 or smtps://host:465")
        if parts.query not in {"", "starttls=0", "starttls=1"}:
            raise ValueError("may end with ?starttls=1 and with nothing else")
        tls = parts.scheme == "smtps"
        return cls(
            host=parts.hostname,
            port=parts.port or (465 if tls else 25),
            user=parts.username and unquote(parts.username),
            password=parts.password and unquote(parts.password),
            tls=tls,
            starttls=parts.query == "starttls=1",
        )


def domain_of(sender: str) -> str:
    """The domain of an address, which may stand after a name: `Shop <shop@example.org>`.

    Raises:
        ValueError: it is no address.
    """
    found = _SENDER.fullmatch(sender)
    if found is None:
        raise ValueError("must be an address, such as Shop <shop@example.org>")
    return found["domain"]
