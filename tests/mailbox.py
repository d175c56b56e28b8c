"""Mailbox: a mail server of a test's own."""

import asyncio
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope


class _Controller(Controller):
    """On a free port, which is known once it listens."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@dataclass(kw_only=True)
class Mailbox:
    """A mail server on this machine that keeps every e-mail.

    `replies` are answered in place of its own: to `MAIL`, `RCPT`, `RCPT address`, `DATA` or `QUIT`; `silence` is
    none at all.
    """

    port: int = 0
    envelopes: list[Envelope] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def ids(self) -> list[str]:
        """The effects' ids, read off the Message-IDs."""
        found = (re.search(rb"Message-ID: <([^@]+)@", envelope.content) for envelope in self.envelopes)
        return [match[1].decode() for match in found if match]

    @classmethod
    @contextmanager
    def running(cls, *, tls: ssl.SSLContext | None = None, implicit: bool = False) -> "Iterator[Mailbox]":
        mailbox = cls()
        options = {"tls_context": tls, "require_starttls": True} if tls is not None and not implicit else {}
        controller = _Controller(
            mailbox, hostname="127.0.0.1", port=0, ssl_context=tls if implicit else None, authenticator=mailbox._login,
            auth_require_tls=not implicit, auth_exclude_mechanism=["LOGIN"], **options,
        )  # fmt: skip
        controller.start()
        mailbox.port = controller.port
        try:
            yield mailbox
        finally:
            controller.stop()

    def _login(self, _: Any, __: Any, ___: Any, ____: str, data: Any) -> AuthResult:
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=True)

    async def handle_MAIL(self, _: Any, __: Any, envelope: Envelope, address: str, ___: Any) -> str:  # noqa: N802  # as aiosmtpd calls it
        envelope.mail_from = address
        return self.replies.get("MAIL", "250 OK")

    async def handle_RCPT(self, _: Any, __: Any, envelope: Envelope, address: str, ___: Any) -> str:  # noqa: N802  # ditto
        reply = self.replies.get(f"RCPT {address}", self.replies.get("RCPT", "250 OK"))
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, _: Any, __: Any, envelope: Envelope) -> str:  # noqa: N802  # ditto
        reply = self.replies.get("DATA", "250 OK")
        if reply == "silence":
            await asyncio.sleep(2)
        if reply.startswith("250"):
            self.envelopes.append(envelope)
        return reply

    async def handle_QUIT(self, _: Any, __: Any, ___: Envelope) -> str:  # noqa: N802  # ditto
        return self.replies.get("QUIT", "221 Bye")
