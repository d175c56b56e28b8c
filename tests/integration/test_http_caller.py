"""Calls over HTTP to a real server: what is sent, who is believed, what each answer means."""

import base64
import json
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import trustme
from standardwebhooks import Webhook

from domain.outgoing import allowed_of
from infrastructure.http_calls.caller import HttpCaller
from infrastructure.http_calls.guard import Guard
from infrastructure.http_calls.signature import secrets_of
from playhead import HttpCall
from tests.factories import event_id
from tests.servers import Receiver, Reply

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
ID = event_id(7)
LOOPBACK = [allowed_of("127.0.0.0/8")]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver.running() as found:
        yield found


def caller(**options) -> HttpCaller:
    return HttpCaller(Guard(LOOPBACK), **options)


def test_a_call_carries_its_body_its_headers_and_its_id(receiver: Receiver):
    call = HttpCall(url=receiver.url("/a?b=c"), body={"ä": [1, None]}, method="PUT", headers={"X-Shop": "7"})

    result = caller().call(call, effect_id=ID)

    [received] = receiver.requests
    assert (result.phase, result.answer.status, result.answer.body) == ("done", 200, "heard")
    assert (received.method, received.path, received.id) == ("PUT", "/a?b=c", ID)
    assert json.loads(received.body) == {"ä": [1, None]}
    assert received.headers["x-shop"] == "7"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert received.headers["user-agent"].startswith("playhead/")
    assert "webhook-signature" not in received.headers


@pytest.mark.parametrize(
    ("body", "method", "sent", "content_type"),
    [
        (None, "GET", b"", None),
        (None, "POST", b"", None),
        (None, "DELETE", b"", None),
        ("späŧ", "POST", "späŧ".encode(), "text/plain; charset=utf-8"),
        ([], "PATCH", b"[]", "application/json"),
    ],
)
def test_each_kind_of_body_is_sent_as_what_it_is(receiver: Receiver, body, method, sent, content_type):
    caller().call(HttpCall(url=receiver.url(), body=body, method=method), effect_id=ID)

    [received] = receiver.requests
    assert (received.method, received.body, received.headers.get("content-type")) == (method, sent, content_type)


def test_a_node_may_name_another_content_type(receiver: Receiver):
    call = HttpCall(url=receiver.url(), body="<a/>", headers={"Content-Type": "text/xml"})

    caller().call(call, effect_id=ID)

    assert receiver.requests[0].headers["content-type"] == "text/xml"


@pytest.mark.parametrize("body", [{"number": 7, "word": "späŧ"}, "text", None])
def test_every_secret_signs_as_standard_webhooks_says(receiver: Receiver, body):
    call = HttpCall(url=receiver.url(), body=body)

    caller(secrets=secrets_of(f"{SECRET} {OTHER}")).call(call, effect_id=ID)

    [received] = receiver.requests
    for secret in (SECRET, OTHER):
        Webhook(secret).verify(received.body, dict(received.headers), json_parse=False)
    assert abs(int(received.headers["webhook-timestamp"]) - time.time()) < 60
    assert len(received.headers["webhook-signature"].split(" ")) == 2


@pytest.mark.parametrize("text", ["secret", "whsec_", "whsec_***", "whsec_" + base64.b64encode(b"short").decode()])
def test_what_is_no_secret_is_refused(text):
    with pytest.raises(ValueError, match="whsec_"):
        secrets_of(text)


@pytest.mark.parametrize(
    ("status", "phase", "gone"),
    [(200, "done", False), (204, "done", False), (299, "done", False), (301, "failed", False), (307, "failed", False),
     (400, "failed", False), (404, "failed", False), (410, "gave_up", True), (429, "failed", False),
     (500, "failed", False), (503, "failed", False)],
)  # fmt: skip
def test_each_status_means_what_standard_webhooks_says(receiver: Receiver, status, phase, gone):
    body = b"" if status == 204 else b"x"
    receiver.replies = lambda _: Reply(status=status, body=body)

    result = caller().call(HttpCall(url=receiver.url()), effect_id=ID)

    assert (result.phase, result.gone, result.answer.status) == (phase, gone, status)
    assert (result.error is None) is (phase == "done")


def test_a_redirect_is_never_followed(receiver: Receiver):
    receiver.replies = lambda _: Reply(status=301, headers={"location": receiver.url("/elsewhere")})

    result = caller().call(HttpCall(url=receiver.url()), effect_id=ID)

    assert "not followed" in result.error
    assert [received.path for received in receiver.requests] == ["/hook"]


@pytest.mark.parametrize(
    ("status", "text", "wait"),
    [
        (429, "17", 17.0),
        (503, " 60 ", 60.0),
        (503, "soon", None),
        (500, "17", None),
        (429, None, None),
        (429, "\u00b2", None),
        (503, "Mon, 01 Jan 0001 00:00:00 +9999", None),
    ],
)
def test_a_receiver_may_ask_to_wait(receiver: Receiver, status, text, wait):
    receiver.replies = lambda _: Reply(status=status, headers={} if text is None else {"retry-after": text})

    assert caller().call(HttpCall(url=receiver.url()), effect_id=ID).retry_after == wait


def test_a_receiver_may_ask_to_wait_until_a_time(receiver: Receiver):
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    receiver.replies = lambda _: Reply(status=503, headers={"retry-after": until})

    wait = caller().call(HttpCall(url=receiver.url()), effect_id=ID).retry_after

    assert 90 < wait <= 100


def test_of_an_answer_at_most_64_kb_are_read(receiver: Receiver):
    receiver.replies = lambda _: Reply(body=b"x" * 200_000, headers={"content-type": "text/plain; charset=nonsense"})

    answer = caller().call(HttpCall(url=receiver.url()), effect_id=ID).answer

    assert (len(answer.body), answer.content_type) == (65_536, "text/plain; charset=nonsense")


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "undefined", "idna", "rot13", "utf-16"])
def test_an_answer_in_any_charset_can_be_stored(receiver: Receiver, charset: str):
    receiver.replies = lambda _: Reply(body=b"+2AA-\\ud800", headers={"content-type": f"text/plain; charset={charset}"})

    result = caller().call(HttpCall(url=receiver.url()), effect_id=ID)

    assert (result.phase, result.answer.status) == ("done", 200)
    assert result.answer.body.encode()


@pytest.mark.parametrize(
    "raw",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"\r\n", b"HTTP/1.1 99999 OK\r\n\r\n"],
)
def test_what_is_no_answer_is_a_failure(receiver: Receiver, raw):
    receiver.replies = lambda _: Reply(raw=raw)

    result = caller().call(HttpCall(url=receiver.url()), effect_id=ID)

    assert (result.phase, result.answer) == ("failed", None)
    assert result.error


def test_nobody_at_the_address_is_a_failure():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    result = caller().call(HttpCall(url=f"http://127.0.0.1:{port}/"), effect_id=ID)

    assert (result.phase, result.answer) == ("failed", None)
    assert "refused" in result.error


@pytest.mark.parametrize(
    "raw", [b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50, b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n" + b"x" * 99]
)
def test_an_answer_that_drips_is_cut_off_at_the_deadline(receiver: Receiver, raw):
    receiver.replies = lambda _: Reply(raw=raw, pause=0.05)
    began = time.monotonic()

    result = caller(seconds=0.4).call(HttpCall(url=receiver.url()), effect_id=ID)

    assert result.phase == "failed"
    assert "no whole answer within 0.4 s" in result.error
    assert time.monotonic() - began < 3


def test_proxies_of_the_environment_are_not_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")

    assert caller().call(HttpCall(url=receiver.url()), effect_id=ID).phase == "done"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Receiver]:
    """A receiver that is `hooks.example.org`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.example.org").configure_cert(context)
    with Receiver.running(tls=context) as found:
        yield found


def secure_caller(authority: trustme.CA | None = None) -> HttpCaller:
    context = ssl.create_default_context()
    if authority is not None:
        authority.configure_trust(context)
    return HttpCaller(Guard(LOOPBACK, resolve=lambda _, __: ["127.0.0.1"]), tls=context)


def test_a_server_is_verified_by_its_name_though_its_address_is_connected_to(secure: Receiver, authority: trustme.CA):
    call = HttpCall(url=f"https://hooks.example.org:{secure.port}/hook")

    result = secure_caller(authority).call(call, effect_id=ID)

    assert result.phase == "done", result.error
    assert secure.requests[0].headers["host"] == f"hooks.example.org:{secure.port}"


@pytest.mark.parametrize(("host", "trusted"), [("other.example.org", True), ("hooks.example.org", False)])
def test_a_server_that_is_not_who_it_should_be_hears_nothing(secure: Receiver, authority: trustme.CA, host, trusted):
    call = HttpCall(url=f"https://{host}:{secure.port}/hook")

    result = secure_caller(authority if trusted else None).call(call, effect_id=ID)

    assert result.phase == "failed"
    assert "CERTIFICATE_VERIFY_FAILED" in result.error
    assert secure.requests == []
