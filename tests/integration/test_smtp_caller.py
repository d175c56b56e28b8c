"""E-mails to a real mail server: what is sent, and what its answers mean."""

import email
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default

import pytest
import trustme

from infrastructure.smtp.caller import SmtpCaller
from infrastructure.smtp.server import MailServer, domain_of
from playhead import Email
from tests.factories import event_id
from tests.mailbox import Mailbox

ID = event_id(7)
MAIL = Email(to=["a@example.org", "b@example.org"], subject="Späŧ", text="Grüße\n.\nEnd", html="<p>Grüße</p>")


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox.running() as found:
        yield found


def caller(mailbox: Mailbox | None, *, query: str = "", **options) -> SmtpCaller:
    server = None if mailbox is None else MailServer.of(mailbox.url + query)
    return SmtpCaller(server, **{"sender": "Shop <shop@example.com>", **options})


def read(content: bytes) -> EmailMessage:
    return email.message_from_bytes(content, policy=default)  # type: ignore[return-value]


def test_an_email_arrives_whole_and_its_message_id_is_the_effects(mailbox: Mailbox):
    results = [caller(mailbox).call(MAIL, effect_id=ID) for _ in range(2)]

    assert [result.phase for result in results] == ["done", "done"]
    assert [envelope.rcpt_tos for envelope in mailbox.envelopes] == [["a@example.org", "b@example.org"]] * 2
    messages = [read(envelope.content) for envelope in mailbox.envelopes]
    assert {message["Message-ID"] for message in messages} == {f"<{ID}@example.com>"}
    [message, _] = messages
    assert (message["From"], message["To"]) == ("Shop <shop@example.com>", "a@example.org, b@example.org")
    assert message["Subject"] == "Späŧ"
    assert message.get_body(("plain",)).get_content().splitlines() == ["Grüße", ".", "End"]
    assert "<p>Grüße</p>" in message.get_body(("html",)).get_content()


def test_a_plain_email_has_one_part(mailbox: Mailbox):
    caller(mailbox).call(Email(to="a@example.org", subject="s", text="t"), effect_id=ID)

    [envelope] = mailbox.envelopes
    assert not read(envelope.content).is_multipart()


def test_an_email_that_was_taken_is_done_however_the_server_parts(mailbox: Mailbox):
    mailbox.replies["QUIT"] = "500 what"

    assert caller(mailbox).call(MAIL, effect_id=ID).phase == "done"


@pytest.mark.parametrize("subject", ["Hello\r\nBcc: all@example.org", "Hello\nBcc: all@example.org"])
def test_a_header_cannot_be_injected_though_it_was_declared_under_looser_rules(mailbox: Mailbox, subject: str):
    with pytest.raises(ValueError, match="linefeed"):
        caller(mailbox).call(Email(to="a@example.org", subject=subject, text="t"), effect_id=ID)

    assert mailbox.envelopes == []


@pytest.mark.parametrize(
    ("where", "reply", "phase"),
    [("DATA", "451 later", "failed"), ("DATA", "554 never", "gave_up"), ("RCPT", "450 later", "failed"),
     ("RCPT", "550 unknown", "gave_up"), ("MAIL", "550 who", "failed"), ("DATA", "421 bye", "failed")],
)  # fmt: skip
def test_what_the_server_refuses_for_good_is_given_up(mailbox: Mailbox, where: str, reply: str, phase: str):
    mailbox.replies[where] = reply

    result = caller(mailbox).call(MAIL, effect_id=ID)

    assert result.phase == phase
    assert reply[:3] in result.error


def test_recipients_that_were_refused_beside_others_are_told(mailbox: Mailbox):
    mailbox.replies["RCPT b@example.org"] = "550 unknown"

    result = caller(mailbox).call(MAIL, effect_id=ID)

    assert (result.phase, result.detail) == ("done", {"refused": ["b@example.org"]})


@pytest.mark.parametrize(
    ("allowed", "sent"),
    [((), True), (("example.org",), True), (("EXAMPLE.org",), True), (("a@example.org", "b@example.org"), True),
     (("a@example.org",), False), (("example.com", "org"), False)],
)  # fmt: skip
def test_only_allowed_recipients_are_written_to(mailbox: Mailbox, allowed: tuple[str, ...], sent: bool):  # noqa: FBT001
    result = caller(mailbox, allowed=allowed).call(MAIL, effect_id=ID)

    assert (len(mailbox.envelopes), result.phase) == ((1, "done") if sent else (0, "failed"))
    assert sent or "EMAIL_ALLOW" in result.error


def test_a_setting_that_lacks_is_named():
    assert "SMTP_URL" in caller(None).call(MAIL, effect_id=ID).error
    with Mailbox.running() as mailbox:
        assert "EMAIL_FROM" in caller(mailbox, sender="").call(MAIL, effect_id=ID).error


def test_a_server_that_is_away_or_says_nothing_is_a_failure():
    with Mailbox.running() as mailbox:
        away = caller(mailbox, seconds=0.3)
    assert "refused" in away.call(MAIL, effect_id=ID).error
    with Mailbox.running() as silent:
        silent.replies["DATA"] = "silence"
        assert silent.envelopes == []
        assert caller(silent, seconds=0.3).call(MAIL, effect_id=ID).phase == "failed"


@pytest.mark.parametrize(("scheme", "query"), [("smtps", ""), ("smtp", "?starttls=1")])
@pytest.mark.parametrize("trusted", [True, False])
def test_a_server_is_verified_before_it_hears_the_password(scheme: str, query: str, trusted: bool):  # noqa: FBT001
    authority, server_side, client_side = (
        trustme.CA(),
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.create_default_context(),
    )
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    if trusted:
        authority.configure_trust(client_side)
    with Mailbox.running(tls=server_side, implicit=scheme == "smtps") as mailbox:
        server = MailServer.of(f"{scheme}://us%40er:p%3Ass@127.0.0.1:{mailbox.port}{query}")
        smtp = SmtpCaller(server, sender="shop@example.com", tls=lambda: client_side)

        result = smtp.call(MAIL, effect_id=ID)

    assert (result.phase, mailbox.logins) == (("done", [("us@er", "p:ss")]) if trusted else ("failed", []))


@pytest.mark.parametrize("query", ["?starttls=true", "?startls=1", "?starttls=01", "?starttls=1&x=2"])
def test_a_mail_server_that_is_told_something_else_than_starttls_is_refused(query: str):
    with pytest.raises(ValueError, match="starttls=1"):
        MailServer.of(f"smtp://u:p@host:587{query}")


@pytest.mark.parametrize("url", ["host:25", "http://host", "smtp://", "smtp:///x"])
def test_what_is_no_mail_server_is_refused(url: str):
    with pytest.raises(ValueError, match="smtp://host:25"):
        MailServer.of(url)


@pytest.mark.parametrize("sender", ["shop@example.com", "Shop <shop@example.com>", '"A, B" <shop@example.com>'])
def test_the_domain_of_a_sender_is_read(sender: str):
    assert domain_of(sender) == "example.com"


@pytest.mark.parametrize("sender", ["shop", "a@b@c", "Shop\r\nBcc: x <shop@example.com>", ""])
def test_what_is_no_sender_is_refused(sender: str):
    with pytest.raises(ValueError, match="must be an address"):
        domain_of(sender)
