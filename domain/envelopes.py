"""The forms in which an event comes in: our plain JSON object, and CloudEvents 1.0, structured or binary.

Each form is read into a `Submission`. Which pipeline the event has, and whether its data fits, is asked later.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from domain.errors import Fault, UnsupportedMedia
from domain.events import envelope_faults, parse_time, refuse
from domain.json_faults import pointer
from domain.strict_json import decode, members, text_of

_PLAIN = frozenset({"type", "source", "subject", "time", "not_before", "expected_version", "data"})
_LAST_POSITION = 2**63 - 1

_HEADER = "ce-"
_CORE = frozenset({"specversion", "id", "source", "type", "subject", "time"})
_EXTENSION = re.compile(r"[a-z0-9]{1,20}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)("?)')
"""One that is never closed is found once, and not anew from each quote inside it."""
_PERCENT_ENCODED = re.compile(r"(?:[\x20-\x24\x26-\x7e]|%[0-9A-Fa-f]{2})*")
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^";\s]*)', re.IGNORECASE)


class Submission(Struct, frozen=True, kw_only=True):
    """An event as its sender wrote it, whatever the form. Times are UTC.

    `data` is the exact JSON text. `key` makes a repeat harmless (a CloudEvents id; the plain form has it beside
    the event). `attributes` are CloudEvents extensions, `datacontenttype` and `dataschema`: text, int or bool.
    """

    type: str
    data: str
    source: str = ""
    subject: str = ""
    time: datetime | None = None
    key: str | None = None
    not_before: datetime | None = None
    expected_version: int | None = None
    attributes: Mapping[str, Any] = {}


def plain(text: str) -> Submission:
    """Read `{"type", "source"?, "subject"?, "time"?, "not_before"?, "expected_version"?, "data"}`.

    Raises:
        MalformedJson: the text is not one strict JSON object.
        InvalidEvent: a member is missing, unknown or wrong, with a pointer to each.
    """
    found, exact = members(text)
    envelope = _Envelope(found, _member_place)
    for name in found:
        if name not in _PLAIN:
            envelope.fault(name, "unknown", f"An event has no such member; it may have {_listed(_PLAIN)}.")
    if "data" not in found:
        envelope.fault("data", "missing", "An event needs data; send null where there is none.")
    return envelope.submission(
        data=exact("data") if "data" in found else "null",
        not_before=envelope.time("not_before"),
        expected_version=envelope.expected_version(),
    )


def cloudevent(text: str) -> Submission:
    """Read a CloudEvent in JSON (CloudEvents 1.0.2, JSON event format); no `data` is read as null.

    Raises:
        MalformedJson: the text is not one strict JSON object.
        InvalidEvent: an attribute is missing or wrong, with a pointer to each.
        UnsupportedMedia: the data is not JSON.
    """
    found, exact = members(text)
    if "data_base64" in found:
        raise _unsupported("/data_base64", "Binary data cannot be read. Send JSON in `data`.")
    # A null attribute counts as an absent one (JSON event format, section 2.2).
    values = {name: value for name, value in found.items() if name != "data" and value is not None}
    media_type = values.get("datacontenttype")
    if isinstance(media_type, str) and not is_json(media_type):
        raise _unsupported("/datacontenttype", f"Data of type {media_type[:100]!r} cannot be read. Send JSON.")
    return _cloudevent(_Envelope(values, _member_place), exact("data") if "data" in found else "null")


def cloudevent_binary(headers: Mapping[str, str], body: bytes) -> Submission:
    """Read a CloudEvent from `ce-` headers and a JSON body (CloudEvents 1.0.2, HTTP protocol binding).

    An empty body is read as null. Pointers lead to `/headers/ce-…`, or into `/data`.

    Raises:
        MalformedJson: the body is not strict JSON.
        InvalidEvent: a header is missing or wrong, with a pointer to each.
        UnsupportedMedia: the body is not said to be JSON.
    """
    values: dict[str, Any] = {}
    envelope = _Envelope(values, _header_place)
    media_type = ""
    for header, value in headers.items():
        prefix, name = header[:3].lower(), header[3:].lower()
        if header.lower() == "content-type":
            media_type = value
        elif prefix == _HEADER:
            if name in values:
                envelope.fault(name, "header", "The header stands twice.")
            values[name] = envelope.header(name, value)
    if (body or media_type) and not is_json(media_type):
        raise _unsupported("/headers/content-type", f"A body of type {media_type[:100]!r} cannot be read. Send JSON.")
    if "datacontenttype" in values:
        envelope.fault("datacontenttype", "header", "The Content-Type header says this, and this one must not be.")
    if media_type:
        values["datacontenttype"] = media_type
    data = text_of(body).strip(" \t\r\n")
    if data:
        decode(data, "data")
    return _cloudevent(envelope, data or "null")


def is_json(media_type: str) -> bool:
    """Whether a content type says JSON (`*/json` or `*/*+json`, and no charset but UTF-8)."""
    essence = media_type.partition(";")[0].strip().lower()
    return essence.endswith(("/json", "+json")) and is_utf8(media_type)


def is_utf8(media_type: str) -> bool:
    """Whether a content type names no charset but UTF-8 or its part, ASCII."""
    charset = _CHARSET.search(media_type)
    return charset is None or charset[1].lower() in {"utf-8", "utf8", "us-ascii"}


class _Envelope:
    """The values of an envelope, read one by one, and the first thing that was wrong at each place."""

    def __init__(self, values: Mapping[str, Any], place: Callable[[str], str]) -> None:
        self.values = values
        self._place = place
        self._faults: dict[str, Fault] = {}

    def fault(self, name: str, code: str, message: str) -> None:
        place = self._place(name)
        self._faults.setdefault(place, Fault(place, code, message))

    def text(self, name: str, *, required: bool = False) -> str:
        value = self.values.get(name, "")
        if required and name not in self.values:
            self.fault(name, "missing", f"The {name} is missing.")
        elif not isinstance(value, str):
            self.fault(name, "wrong-type", f"The {name} must be text.")
            return ""
        return str(value)

    def header(self, name: str, value: str) -> str:
        """Decode a header's value: quoted strings, then one round of percent-encoding (HTTP binding, 3.1.3.2)."""
        unquoted = _QUOTED.sub(lambda match: re.sub(r"\\(.)", r"\1", match[1]) if match[2] else match[0], value)
        if not _PERCENT_ENCODED.fullmatch(unquoted):
            self.fault(name, "header", "The value must be printable ASCII, anything else percent-encoded as UTF-8.")
            return ""
        try:
            return unquote_to_bytes(unquoted).decode()
        except UnicodeDecodeError:
            self.fault(name, "header", "The percent-encoded value is not UTF-8.")
            return ""

    def time(self, name: str) -> datetime | None:
        if name not in self.values:
            return None
        value = self.values[name]
        try:
            return parse_time(value if isinstance(value, str) else "")
        except ValueError:
            self.fault(name, "time", f"The {name} must be an RFC 3339 time such as 2026-01-31T09:30:00Z.")
            return None

    def expected_version(self) -> int | None:
        name = "expected_version"
        if name not in self.values:
            return None
        value = self.values[name]
        if type(value) is not int or not 0 <= value <= _LAST_POSITION:
            self.fault(name, "wrong-type", "The expected_version must be a position: a whole number from 0.")
            return None
        if not self.values.get("subject"):
            self.fault(name, "value", "An expected_version needs a subject: it is the version of one.")
        return value

    def submission(self, *, key: str | None = None, **rest: Any) -> Submission:
        """What was read, with the names that every form has.

        Raises:
            InvalidEvent: something was wrong.
        """
        type_, source, subject = self.text("type", required=True), self.text("source"), self.text("subject")
        time = self.time("time")
        for fault in envelope_faults(type=type_, source=source, subject=subject, key=key):
            self.fault(fault.pointer.removeprefix("/") or "id", fault.code, fault.message)
        refuse([*self._faults.values()])
        return Submission(type=type_, source=source, subject=subject, time=time, key=key, **rest)


def _cloudevent(envelope: _Envelope, data: str) -> Submission:
    values = envelope.values
    if values.get("specversion") != "1.0":
        envelope.fault("specversion", "value", 'The specversion must be "1.0".')
    for name in ("source", "subject", "dataschema", "datacontenttype"):
        if not envelope.text(name) and name in values:
            envelope.fault(name, "value", f"The {name} must not be empty.")
    attributes = {name: value for name, value in values.items() if name not in _CORE}
    for name, value in attributes.items():
        if not _EXTENSION.fullmatch(name) or name == "data":
            envelope.fault(name, "unknown", "An attribute's name is 1 to 20 lower-case letters and digits.")
        elif not _is_attribute(value):
            envelope.fault(name, "wrong-type", "An attribute is text without control characters, bool or 32-bit int.")
    if "source" not in values:
        envelope.fault("source", "missing", "The source is missing.")
    return envelope.submission(key=envelope.text("id", required=True), data=data, attributes=attributes)


def _is_attribute(value: Any) -> bool:
    """Whether a value has one of CloudEvents' types."""
    if isinstance(value, str):
        return not _CONTROL.search(value)
    return isinstance(value, int) and -(2**31) <= value < 2**31


def _member_place(name: str) -> str:
    return pointer([name])


def _header_place(name: str) -> str:
    return pointer(["headers", _HEADER + name])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _unsupported(place: str, message: str) -> UnsupportedMedia:
    return UnsupportedMedia(message, faults=[Fault(place, UnsupportedMedia.code, message)])
