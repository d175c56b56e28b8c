"""Events: what happened, before (`NewEvent`) and after (`RecordedEvent`) the log gave it its position."""

import hashlib
import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Self

from msgspec import Struct, defstruct
from msgspec.json import encode
from pydantic_core import from_json

from domain.errors import Fault, InvalidEvent

MAX_DEPTH = 16
"""How many follow-ups may stand between an event from outside and the last event that it caused."""

OWN_SOURCE = "playhead:"
"""What the sources of events begin with that the service itself sends."""
_PRINTABLE = re.compile(r"[\x20-\x7e]{1,200}")
_CLEAN = re.compile(r"[^\x00-\x1f\x7f]{0,512}")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


class NewEvent(Struct, frozen=True, kw_only=True):
    """An event as it is handed to the log: validated, routed, not yet recorded.

    `data` is the exact JSON text that was sent. `route` is the name of the one pipeline that the type has in
    the process that accepted the event, None when it has none. `expected_version` is the position that the
    subject's last event must have (0: no event yet). With `not_before` the event is due later.
    """

    id: str
    type: str
    data: str
    source: str = ""
    subject: str = ""
    time: datetime | None = None
    route: str | None = None
    key: str | None = None
    expected_version: int | None = None
    not_before: datetime | None = None
    schema_version: int = 1
    cause: str | None = None
    depth: int = 0
    attributes: Mapping[str, Any] = {}

    @property
    def lane(self) -> int:
        """A stable number that all events of one subject share."""
        return lane_of(self.subject)

    @property
    def body_digest(self) -> str | None:
        """What two requests with one key are compared by: SHA-256 of type, subject and exact data."""
        if self.key is None:
            return None
        parts = (self.type, self.subject, self.data)
        framed = b"".join(b"%d:%b" % (len(raw), raw) for raw in (part.encode() for part in parts))
        return hashlib.sha256(framed).hexdigest()


class RecordedEvent(Struct, frozen=True):
    """An event in the log. Nothing about it ever changes.

    `position` counts from 1 without a gap, in the order of commits. `time` is when it happened, as its sender
    says, else when it was recorded. `data` is the exact JSON text; `cause` the id of the event whose pipeline
    asked for this one, `depth` how many such steps lie behind it.
    """

    position: int
    id: str
    type: str
    source: str
    subject: str
    time: datetime
    recorded_at: datetime
    route: str | None
    lane: int
    data: str
    key: str | None = None
    schema_version: int = 1
    cause: str | None = None
    depth: int = 0
    attributes: Mapping[str, Any] = {}

    @property
    def json(self) -> str:
        """The event as one JSON object whose last member, `data`, is the exact text."""
        envelope = encode(_Envelope(*_enveloped(self))).decode()
        return f'{envelope[:-1]},"data":{self.data}}}'

    @classmethod
    def from_members(cls, members: Mapping[str, Any], data: str) -> Self:
        """Rebuild an event from the parsed members of its `json` and the exact text of its data."""
        times = {name: parse_time(members[name]) for name in ("time", "recorded_at")}
        return cls(**{**members, **times, "data": data})


_NAMES = tuple(name for name in RecordedEvent.__struct_fields__ if name != "data")
_Envelope = defstruct("_Envelope", _NAMES)
"""The members of an event's JSON but for its data, in their order."""
_enveloped = attrgetter(*_NAMES)


def lane_of(subject: str) -> int:
    """A stable number from 0 to 32,767 of a subject (CRC-32, its low 15 bits)."""
    return zlib.crc32(subject.encode()) & 0x7FFF


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time, which must name its offset, as UTC.

    Raises:
        ValueError: the text is not one.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not an RFC 3339 time such as 2026-01-31T09:30:00Z.")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is outside the years 1 to 9999 in UTC.") from error


def envelope_faults(*, type: str, source: str, subject: str, key: str | None) -> list[Fault]:  # noqa: A002
    """Say what is wrong with an event's names: lengths, and characters that no log line or index should meet."""
    faults = []
    if not _PRINTABLE.fullmatch(type):
        faults.append(Fault("/type", "name", "The type must be 1 to 200 printable ASCII characters."))
    if not _CLEAN.fullmatch(source):
        faults.append(Fault("/source", "name", "The source must be at most 512 characters, none of them control."))
    if source.startswith(OWN_SOURCE):
        faults.append(Fault("/source", "name", f"Sources that begin with {OWN_SOURCE!r} are the service's own."))
    if not _CLEAN.fullmatch(subject):
        faults.append(Fault("/subject", "name", "The subject must be at most 512 characters, none of them control."))
    return faults if key is None else faults + key_faults(key)


def key_faults(key: str) -> list[Fault]:
    """Say what is wrong with an idempotency key."""
    if _PRINTABLE.fullmatch(key):
        return []
    return [Fault("", "key", "The idempotency key must be 1 to 200 printable ASCII characters.")]


def refuse(faults: list[Fault]) -> None:
    """Raise `InvalidEvent` with these faults, if there are any."""
    if faults:
        places = "; ".join(f"{fault.pointer or 'event'}: {fault.message}" for fault in faults[:5])
        raise InvalidEvent(places, faults=faults)


def derived_id(event_id: str, *parts: object) -> str:
    """A UUIDv7 (RFC 9562) that is the same for the same parts: the event's own time, random bits from a hash."""
    digest = hashlib.sha256("\x00".join([event_id, *map(str, parts)]).encode()).hexdigest()
    variant = "89ab"[int(digest[3], 16) & 3]
    return f"{event_id[:13]}-7{digest[:3]}-{variant}{digest[4:7]}-{digest[7:19]}"


def attributes_from_json(text: str | None) -> Mapping[str, Any]:
    """Read stored extension attributes; none are stored as no text."""
    return from_json(text) if text else {}
