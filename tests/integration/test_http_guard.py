"""The guard of outgoing calls: what may not be called is refused before anything is connected to."""

import socket
import ssl
import sys
import threading
from collections.abc import Iterator

import pytest

from domain.outgoing import allowed_of
from infrastructure.http_calls import guard as guard_module
from infrastructure.http_calls.caller import HttpCaller
from infrastructure.http_calls.guard import Guard, resolved
from playhead import HttpCall
from tests.factories import event_id
from tests.servers import Receiver

PUBLIC = "93.184.216.34"
ID = event_id(1)
TLS = ssl.create_default_context()


class _Refusal(OSError):
    """Raised in place of a connection, so that nothing ever leaves this machine."""


class _Ear:
    """Hears every connection that this process begins; there is no way to take an audit hook off again."""

    def __init__(self) -> None:
        self.heard: list[object] | None = None
        self.refusing = True
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.connect" and self.heard is not None:
            self.heard.append(arguments[1])
            if self.refusing:
                raise _Refusal("the test lets nothing out")


EAR = _Ear()


@pytest.fixture
def connections() -> Iterator[list[object]]:
    """Where this process tried to connect to; no connection is made."""
    EAR.heard, EAR.refusing = [], True
    yield EAR.heard
    EAR.heard = None


_SCHEMES = [
    "file:///etc/passwd", "ftp://example.org/", "gopher://127.0.0.1:6379/_FLUSHALL",
    "dict://127.0.0.1:11211/", "data:,x",
    "ldap://127.0.0.1/", "jar:http://127.0.0.1!/", "javascript:alert(1)", "//127.0.0.1/",
    "http:/127.0.0.1", "http:127.0.0.1",
    "", " ", "http://", "http:///x", "http://?x", "http://#x", "unix:///var/run/docker.sock", "HTTP+unix://%2Fvar/",
]  # fmt: skip
_HOSTS = [
    # loopback and its many forms
    "127.0.0.1", "127.0.0.2", "127.255.255.255", "127.1", "127.0.1", "0177.0.0.1", "0177.0.0.01",
    "00177.1", "0x7f.0.0.1",
    "0x7F.1", "0x7f000001", "0X7F000001", "2130706433", "017700000001", "0", "0.0.0.0", "00.0.0.0", "0x0", "0.0",
    "127.0.0.1.", "127.0.0.01", "127.000.000.001", "localhost", "localhost.", "LOCALHOST", "[::1]",
    "[::]", "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:0:127.0.0.1]", "[::1%25eth0]", "[::1%25]",
    # private, link-local, carriers, metadata services
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.1", "169.254.169.254",
    "169.254.0.1", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "169.254.43518", "100.64.0.1", "100.127.255.255",
    "100.100.100.200", "[fd00:ec2::254]", "[fe80::1]", "[fc00::1]", "[fec0::1]", "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]", "[::ffff:10.0.0.1]",
    # the rest of what is special
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.0.1", "192.0.2.1",
    "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "192.88.99.1", "[ff02::1]", "[2001::1]", "[2001:db8::1]", "[2001:10::1]",
    "[2002:7f00:1::]", "[2002:a00:1::1]",
    "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b::10.0.0.1]", "[64:ff9b:1::1]", "[100::1]", "[3fff::1]",
    # what is no host
    "[", "]", "[]", "[::1", "::1", "[127.0.0.1]", "[v1.x]", "1.2.3.4.5", "256.256.256.256",
    "1.2.3", "a..b", ".a", "-a.b", "a-.b",
    "exa mple.org", "example.org%00.evil", "%31%32%37.0.0.1", "%6c%6f%63alhost", "127。0。0。1", "①②⑦.⓪.⓪.①",
    "ⓛocalhost",
    "example.org\\@127.0.0.1", "127.0.0.1\t", "example.org\r\nX-A:b", "a" * 64 + ".org", "a." * 130 + "org",
    # users
    "user@127.0.0.1", "user:password@127.0.0.1", "example.org@127.0.0.1", "@127.0.0.1",
    ":@127.0.0.1", "example.org:80@127.0.0.1",
    "127.0.0.1:80@example.org",
    # ports that are not the web's, also of public addresses
    f"{PUBLIC}:22", f"{PUBLIC}:25", f"{PUBLIC}:3306", f"{PUBLIC}:5432", f"{PUBLIC}:6379",
    f"{PUBLIC}:8080", f"{PUBLIC}:9200",
    f"{PUBLIC}:0", f"{PUBLIC}:65536", f"{PUBLIC}:-1", f"{PUBLIC}:http", f"{PUBLIC}:1e2", "public.example:6379",
    # names, by what they resolve to
    "private.example", "metadata.example", "half.example", "mapped.example", "nowhere.example",
]  # fmt: skip
URLS = [*_SCHEMES, *(f"{scheme}://{host}/" for host in _HOSTS for scheme in ("http", "https"))]
_NAMES = {
    "private.example": ["10.1.2.3"],
    "metadata.example": ["169.254.169.254"],
    "half.example": [PUBLIC, "127.0.0.1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "public.example": [PUBLIC],
}


def known(host: str, port: int) -> list[str]:
    """The names of this test; the system's resolver reads addresses, which asks nobody."""
    if host.endswith(".example"):
        return _NAMES.get(host, [])
    return resolved(host, port)


@pytest.mark.parametrize("url", URLS)
def test_what_may_not_be_called_is_refused_before_anything_is_connected_to(connections: list[object], url: str):
    result = HttpCaller(tls=TLS, guard=Guard(resolve=known)).call(HttpCall(url=url), effect_id=ID)

    assert (result.phase, result.answer) == ("failed", None)
    assert result.error
    assert connections == []


def test_there_are_more_than_a_hundred_forms():
    assert len(set(URLS)) > 200


def test_the_ear_hears_a_call_that_may_be_made(connections: list[object]):
    result = HttpCaller(tls=TLS, guard=Guard(resolve=known)).call(HttpCall(url="https://public.example/"), effect_id=ID)

    assert "lets nothing out" in result.error
    assert connections == [(PUBLIC, 443)]


def test_a_name_is_resolved_once_so_that_answers_that_flip_lead_nowhere_else(connections: list[object]):
    asked = []

    def flipping(host: str, port: int) -> list[str]:
        asked.append(host)
        return [PUBLIC] if len(asked) % 2 else ["127.0.0.1"]

    caller = HttpCaller(tls=TLS, guard=Guard(resolve=flipping))
    results = [caller.call(HttpCall(url="http://flip.example/"), effect_id=ID) for _ in range(1000)]

    assert len(asked) == 1000
    assert connections == [(PUBLIC, 80)] * 500
    assert sum("loopback" in result.error for result in results) == 500


def test_what_the_operator_allows_is_called_though_the_name_would_lead_elsewhere_now():
    with Receiver.running() as receiver:
        answers = iter([["127.0.0.1"], ["10.0.0.1"]])
        guard = Guard([allowed_of(f"127.0.0.1:{receiver.port}")], resolve=lambda _, __: next(answers))

        result = HttpCaller(guard, tls=TLS).call(HttpCall(url=f"http://hooks.local:{receiver.port}/"), effect_id=ID)

        assert result.phase == "done"
        assert receiver.requests[0].headers["host"] == f"hooks.local:{receiver.port}"
        refused = HttpCaller(tls=TLS, guard=Guard()).call(HttpCall(url=receiver.url()), effect_id=ID)
        assert "OUTGOING_ALLOW" in refused.error
        assert len(receiver.requests) == 1


def test_the_next_address_of_a_name_is_tried_where_the_first_does_not_answer():
    with Receiver.running() as receiver:
        guard = Guard([allowed_of("127.0.0.0/8")], resolve=lambda _, __: ["127.0.0.9", "127.0.0.1"])

        assert HttpCaller(guard, tls=TLS).call(HttpCall(url=receiver.url()), effect_id=ID).phase == "done"


def test_a_resolver_that_does_not_answer_is_left_behind(monkeypatch: pytest.MonkeyPatch):
    released = threading.Event()
    monkeypatch.setattr(guard_module, "RESOLVE_SECONDS", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [released.wait(30)][1:])

    try:
        result = HttpCaller(tls=TLS, guard=Guard()).call(HttpCall(url="http://example.org/"), effect_id=ID)
    finally:
        released.set()

    assert "was not resolved within" in result.error


def test_a_name_that_is_not_known_is_a_failure(monkeypatch: pytest.MonkeyPatch):
    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert (
        "not known" in HttpCaller(tls=TLS, guard=Guard()).call(HttpCall(url="http://example.org/"), effect_id=ID).error
    )
