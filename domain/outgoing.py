"""Outgoing URLs: which may be called at all, and which addresses are public. Names are resolved by an adapter.

The ranges are those of IANA's special-purpose registries (RFC 6890 and its updates).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from domain.errors import PermanentError

PORTS = frozenset({80, 443, 8443})
"""The ports that may be called where the operator allows no other."""
MAX_URL = 2048

_URL = re.compile(r"[!-\[\]-~]+")  # printable ASCII but for the space and the backslash
_NAME = re.compile(r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_SPECIAL = tuple(
    (ip_network(network), word)
    for network, word in (
        ("0.0.0.0/8", "unspecified"), ("10.0.0.0/8", "private"), ("100.64.0.0/10", "shared by a carrier's NAT"),
        ("127.0.0.0/8", "loopback"), ("169.254.0.0/16", "link-local"), ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"), ("192.0.2.0/24", "for documentation"), ("192.31.196.0/24", "reserved"),
        ("192.52.193.0/24", "reserved"), ("192.88.99.0/24", "a 6to4 relay"), ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved"), ("198.18.0.0/15", "for benchmarks"), ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"), ("224.0.0.0/4", "multicast"), ("240.0.0.0/4", "reserved"),
        ("2001::/32", "Teredo"), ("2001::/23", "reserved"), ("2001:db8::/32", "for documentation"),
        ("2002::/16", "6to4"), ("2620:4f:8000::/48", "reserved"), ("3fff::/20", "for documentation"),
        ("::/128", "unspecified"), ("::1/128", "loopback"), ("::ffff:0:0/96", "IPv4-mapped"),
        ("64:ff9b::/96", "NAT64"), ("64:ff9b:1::/48", "NAT64"), ("fc00::/7", "private"),
        ("fe80::/10", "link-local"), ("ff00::/8", "multicast"),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a URL leads: `host` in lower case, without brackets; `path` with its query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def header(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(self.scheme) else f"{host}:{self.port}"


def place_of(url: str) -> Place:
    """Read a URL.

    A host that ends in a number is an IPv4 address in its one usual form: what browsers and libraries read as another
    form of an address (octal, hexadecimal, shortened) is refused, and so is a name that ends in a dot.

    Raises:
        PermanentError: it is not the plain URL of a web server.
    """
    shown = url[:100]
    if len(url) > MAX_URL or not _URL.fullmatch(url):
        raise PermanentError(
            f"{shown!r} is no URL: use at most {MAX_URL} printable ASCII characters, without spaces and backslashes "
            "(an international name in its xn-- form)."
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise PermanentError(f"{shown!r} is no URL: {error}.") from error
    if parts.scheme not in {"http", "https"}:
        raise PermanentError(f"{shown!r} must begin with http:// or https://.")
    if "@" in parts.netloc:
        raise PermanentError("A URL may hold no user name and no password: what is declared is stored for ever.")
    if not _is_host(host, bracketed="[" in parts.netloc):
        raise PermanentError(f"{shown!r} names no host that may be called: a name, or an address in its usual form.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(scheme=parts.scheme, host=host, port=_default_port(parts.scheme) if port is None else port, path=path)


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _is_host(host: str, *, bracketed: bool) -> bool:
    if bracketed:
        return "%" not in host and _is_address(host, IPv6Address)
    return _is_name(host) or _is_address(host, IPv4Address)


def _is_name(host: str) -> bool:
    return _NAME.fullmatch(host) is not None and not _NUMBER.fullmatch(host.rpartition(".")[2])


def _is_address(text: str, kind: type[IPv4Address | IPv6Address]) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What an operator lets be called beside the public: a host by its name, or a network; one port, or any."""

    name: str | None = None
    network: str | None = None
    port: int | None = None

    def covers(self, place: Place, address: str) -> bool:
        """Whether a place that has this address is allowed."""
        if self.port is not None and self.port != place.port:
            return False
        if self.network is None:
            return place.host == self.name
        return ip_address(address) in ip_network(self.network)


def allowed_of(text: str) -> Allowed:
    """Read `host`, `host:port`, `10.0.0.0/8`, `10.1.2.3:9000` or `[fd00::/8]:9000`.

    Raises:
        ValueError: it is none of these.
    """
    host, port = text.strip().lower(), None
    if match := re.fullmatch(r"(?:\[([^\]]+)\]|([^:]+))(?::([0-9]{1,5}))?", host):
        host = match[1] or match[2]
        port = int(match[3]) if match[3] else None
    try:
        _check_port(port)
        if not _is_name(host):
            return Allowed(network=str(ip_network(host)), port=port)
    except ValueError as error:
        raise ValueError(f"{text!r} is no host and no network, such as hooks.local:9000 or 10.0.0.0/8") from error
    return Allowed(name=host, port=port)


def _check_port(port: int | None) -> None:
    if port is not None and not 0 < port < 1 << 16:
        raise ValueError(f"{port} is no port")


def refusal_of(place: Place, addresses: Sequence[str], allowed: Sequence[Allowed]) -> str | None:
    """Why a place may not be called, None where it may: every one of its addresses must be public or allowed."""
    for address in addresses:
        if any(rule.covers(place, address) for rule in allowed):
            continue
        if place.port not in PORTS:
            return f"port {place.port} is none of {', '.join(map(str, sorted(PORTS)))}"
        word = special_use_of(address)
        if word is not None:
            return f"{place.host} has the address {address}, which is {word}"
    return None if addresses else f"{place.host} has no address"


def special_use_of(address: str) -> str | None:
    """What an address that is not public is for, None for a public one."""
    found = ip_address(address)
    for network, word in _SPECIAL:
        if found in network:
            return word
    return None if isinstance(found, IPv4Address) or found in _GLOBAL_UNICAST else "reserved"
