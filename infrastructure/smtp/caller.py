"""SmtpCaller: hands an e-mail to the operator's mail server."""

import smtplib
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate
from typing import Any

from application.ports.caller import Answer, Caller, CallResult
from domain.effects import Call, Email
from infrastructure.deadline import CONNECT_SECONDS, WHOLE_SECONDS, Deadline, secured, within
from infrastructure.smtp.server import MailServer, domain_of

_PERMANENT = range(500, 600)


class SmtpCaller(Caller):
    """Sends e-mails. Without a server, or an address to send from, every call fails and says which setting lacks."""

    def __init__(
        self,
        server: MailServer | None,
        *,
        sender: str,
        allowed: Sequence[str] = (),
        seconds: float = WHOLE_SECONDS,
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        """`allowed` are addresses, and domains of addresses, that may be written to; empty: all."""
        self._server = server
        self._sender = sender
        self._allowed = frozenset(each.lower() for each in allowed)
        self._seconds = seconds
        self._tls = tls

    def call(self, call: Call, *, effect_id: str) -> CallResult:
        assert isinstance(call, Email)
        if self._server is None:
            return CallResult(phase="failed", error="No mail server is set: SMTP_URL is empty.")
        if not self._sender:
            return CallResult(phase="failed", error="No address to send from is set: EMAIL_FROM is empty.")
        strangers = [address for address in call.to if not self._may_write_to(address)]
        if strangers:
            return CallResult(phase="failed", error=f"EMAIL_ALLOW does not have {', '.join(strangers)}.")
        try:
            with within(self._seconds) as deadline:
                return self._send(self._server, call.to, self._message(call, effect_id), deadline)
        except smtplib.SMTPRecipientsRefused as error:
            # All of them were; one that may be taken later keeps the call alive.
            return _refused(*min(error.recipients.values()))
        except smtplib.SMTPDataError as error:
            return _refused(error.smtp_code, error.smtp_error)
        except (OSError, smtplib.SMTPException) as error:
            return CallResult(phase="failed", error=f"{type(error).__name__}: {error}")

    def _may_write_to(self, address: str) -> bool:
        address = address.lower()
        return not self._allowed or not self._allowed.isdisjoint({address, address.rpartition("@")[2]})

    def _message(self, call: Email, effect_id: str) -> EmailMessage:
        message = EmailMessage(policy=SMTP_POLICY)
        message["From"] = self._sender
        message["To"] = ", ".join(call.to)
        message["Subject"] = call.subject
        message["Date"] = formatdate(usegmt=True)
        message["Message-ID"] = f"<{effect_id}@{domain_of(self._sender)}>"
        message.set_content(call.text)
        if call.html is not None:
            message.add_alternative(call.html, subtype="html")
        return message

    def _send(self, server: MailServer, to: Sequence[str], message: EmailMessage, deadline: Deadline) -> CallResult:
        tls = self._tls() if server.tls else None
        connection = _Smtp(server, deadline, tls, self._seconds, own_name=domain_of(self._sender))
        try:
            if server.starttls:
                connection.starttls(context=self._tls())
                assert connection.sock is not None
                deadline.watch(connection.sock)
            if server.user is not None:
                connection.login(server.user, server.password or "")
            refused = connection.send_message(message, to_addrs=list(to))
            with suppress(OSError):  # it has taken the e-mail; how it parts changes nothing
                connection.quit()
        finally:
            connection.close()
        answer = Answer(status=250, content_type=None, body="accepted by the mail server")
        return CallResult(phase="done", answer=answer, detail={"refused": sorted(refused)} if refused else {})


class _Smtp(smtplib.SMTP):
    """An SMTP connection under a deadline, with TLS from its beginning where a context is given."""

    def __init__(
        self, server: MailServer, deadline: Deadline, tls: ssl.SSLContext | None, seconds: float, *, own_name: str
    ) -> None:
        self._deadline = deadline
        self._tls = tls
        self._seconds = seconds
        # With no name of its own the library would look one up, for as long as that takes.
        super().__init__(server.host, server.port, local_hostname=own_name)

    def _get_socket(self, host: str, port: int, timeout: Any) -> socket.socket:  # noqa: ARG002  # the library's hook
        connection = socket.create_connection((host, port), min(CONNECT_SECONDS, self._seconds))
        connection.settimeout(self._seconds)
        self._deadline.watch(connection)
        if self._tls is not None:
            connection = secured(connection, self._tls, host, self._deadline)
        return connection


def _refused(code: int, said: bytes | str) -> CallResult:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    answer = Answer(status=code, content_type=None, body=text)
    # RFC 5321, section 4.2.1: a sender should not repeat what a 5yz reply refused.
    return CallResult(
        phase="gave_up" if code in _PERMANENT else "failed", answer=answer, error=f"The mail server answered {code}."
    )
