"""Outgoing URLs: which addresses are public, how a URL is read, what an operator allows."""

import pytest

from domain.errors import PermanentError
from domain.outgoing import Allowed, allowed_of, place_of, refusal_of, special_use_of

PUBLIC = "93.184.216.34"


@pytest.mark.parametrize(
    "address",
    [PUBLIC, "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "223.255.255.255",
     "2606:2800:220:1::1", "2a00:1450:4001::200e", "2001:4860:4860::8888"],
)  # fmt: skip
def test_a_public_address_has_no_special_use(address):
    assert special_use_of(address) is None


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("127.0.0.1", "loopback"), ("127.255.255.254", "loopback"), ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("10.0.0.1", "private"), ("172.16.0.1", "private"), ("172.31.255.255", "private"), ("192.168.1.1", "private"),
        ("169.254.169.254", "link-local"), ("100.64.0.1", "NAT"), ("224.0.0.1", "multicast"), ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"), ("192.88.99.1", "6to4"), ("198.18.0.1", "benchmarks"),
        ("203.0.113.1", "documentation"), ("::", "unspecified"), ("::1", "loopback"), ("::ffff:8.8.8.8", "IPv4-mapped"),
        ("::ffff:127.0.0.1", "IPv4-mapped"), ("::8.8.8.8", "reserved"), ("64:ff9b::8.8.8.8", "NAT64"),
        ("64:ff9b:1::1", "NAT64"), ("2002:7f00:1::", "6to4"), ("2001::1", "Teredo"), ("2001:db8::1", "documentation"),
        ("fc00::1", "private"), ("fd12::1", "private"), ("fe80::1", "link-local"), ("fec0::1", "reserved"),
        ("ff02::1", "multicast"), ("4000::1", "reserved"), ("100::1", "reserved"),
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_named_by_its_use(address, word):
    assert word in special_use_of(address)


def test_one_private_answer_among_public_ones_refuses_the_place():
    place = place_of("https://example.org/")

    assert refusal_of(place, [PUBLIC], ()) is None
    assert "127.0.0.1, which is loopback" in refusal_of(place, [PUBLIC, "127.0.0.1"], ())
    assert "no address" in refusal_of(place, [], ())


@pytest.mark.parametrize("port", [22, 25, 6379, 8080, 9200])
def test_other_ports_than_the_webs_are_refused(port):
    assert f"port {port}" in refusal_of(place_of(f"http://example.org:{port}/"), [PUBLIC], ())


@pytest.mark.parametrize("url", ["http://example.org/", "https://example.org/", "https://example.org:8443/"])
def test_the_ports_of_the_web_may_be_called(url):
    assert refusal_of(place_of(url), [PUBLIC], ()) is None


@pytest.mark.parametrize(
    ("rule", "url", "address", "allowed"),
    [
        ("hooks.local", "http://hooks.local:9000/", "10.0.0.1", True),
        ("HOOKS.local:9000", "http://hooks.local:9000/", "10.0.0.1", True),
        ("hooks.local:9001", "http://hooks.local:9000/", "10.0.0.1", False),
        ("hooks.local", "http://evil.hooks.local:9000/", "10.0.0.1", False),
        ("10.0.0.0/8", "http://any.name:9000/", "10.9.9.9", True),
        ("10.0.0.0/8:9000", "http://any.name:9000/", "10.9.9.9", True),
        ("10.0.0.0/8:9001", "http://any.name:9000/", "10.9.9.9", False),
        ("10.0.0.0/8", "http://any.name/", "192.168.0.1", False),
        ("127.0.0.1:9000", "http://localhost:9000/", "127.0.0.1", True),
        ("127.0.0.1:9000", "http://localhost:9000/", "::1", False),
        ("[::1]:9000", "http://[::1]:9000/", "::1", True),
        ("fd00::/8", "http://any.name/", "fd12::1", True),
    ],
)
def test_what_an_operator_allows_may_be_called_and_nothing_else(rule, url, address, allowed):
    assert (refusal_of(place_of(url), [address], [allowed_of(rule)]) is None) is allowed


def test_every_address_must_be_allowed():
    assert refusal_of(place_of("http://any.name/"), ["10.0.0.1", "127.0.0.1"], [allowed_of("10.0.0.0/8")])


@pytest.mark.parametrize("text", ["", "http://host", "10.0.0.0/33", "0x7f.1", "host:0", "host:70000", "a b", "host:x"])
def test_what_is_no_host_and_no_network_is_refused(text):
    with pytest.raises(ValueError, match="no host and no network"):
        allowed_of(text)


def test_a_rule_is_read_as_it_is_written():
    assert allowed_of(" Hooks.Local:9000 ") == Allowed(name="hooks.local", port=9000)
    assert allowed_of("[fd00::/8]:9000") == Allowed(network="fd00::/8", port=9000)


def test_a_url_is_read_into_its_parts():
    place = place_of("https://Example.ORG/a/b?c=%20#d")

    assert (place.scheme, place.host, place.port, place.path, place.header) == (
        "https", "example.org", 443, "/a/b?c=%20", "example.org"
    )  # fmt: skip
    assert place_of("http://[2606:2800::1]:8443").header == "[2606:2800::1]:8443"
    assert place_of("http://example.org").path == "/"


@pytest.mark.parametrize(
    "host", ["127.1", "0177.0.0.1", "0x7f.0.0.1", "2130706433", "0x7f000001", "1.2.3.4.5", "example.org."]
)
def test_other_forms_of_an_address_and_trailing_dots_are_no_host(host):
    with pytest.raises(PermanentError, match="names no host"):
        place_of(f"http://{host}/")
