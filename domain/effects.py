"""Effects: what a node wants done in the world, declared as data and carried out by a subscription."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal

from msgspec import Struct, structs
from pydantic_core import to_json

from domain.errors import PermanentError
from domain.events import derived_id
from domain.outgoing import place_of

MAX_RECIPIENTS = 100
MAX_BODY = 1 << 20
"""Bytes of the text of an e-mail, or of the body of a call."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,2000}")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect"})
_SECRET = frozenset({"authorization", "proxy-authorization", "cookie"})
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])")
_SUBJECT = re.compile(r"[^\x00-\x1f\x7f\x85\u2028\u2029]{1,900}")


class Effect(Struct, frozen=True, kw_only=True):
    """A declared effect. `node` and `ordinal` say who declared it, and are filled in by `TaskContext.declare`."""

    kind: ClassVar[str]

    node: str = ""
    ordinal: int = 0

    def check(self) -> None:
        """Refuse what could never be carried out (`PermanentError`). Asked when it is declared, not when it is read."""

    def members(self) -> dict[str, Any]:
        """The effect as JSON members."""
        return {"kind": self.kind, **structs.asdict(self)}


class IndexDocument(Effect, frozen=True, kw_only=True):
    """Make this document searchable under the event's id."""

    kind: ClassVar[str] = "index_document"

    document: Mapping[str, Any]


class EmitEvent(Effect, frozen=True, kw_only=True):
    """Append a follow-up event. It is validated in the run that asks for it.

    The source is the asking pipeline's name, the subject and the time those of the event, unless given.
    """

    kind: ClassVar[str] = "emit_event"

    type: str
    data: Mapping[str, Any]
    subject: str | None = None
    source: str | None = None
    time: datetime | str | None = None
    not_before: datetime | str | None = None


class Call(Effect, frozen=True, kw_only=True):
    """A call on the world outside: carried out at least once, under one id for ever, after the run was committed.

    With `answer_type` the answer is appended as an event of that type, whose data are `effect_id`, `status`,
    `content_type` and `body`. What is declared is stored for ever, so it may hold no secret.
    """

    answer_type: str | None = None

    @property
    def target(self) -> str:
        """Whom it reaches, for people."""
        raise NotImplementedError  # each kind has its own; a Struct cannot be an ABC too, as both have a metaclass


class HttpCall(Call, frozen=True, kw_only=True):
    """Call a web server. A body that is text is sent as it is, None as no body, anything else as JSON."""

    kind: ClassVar[str] = "http_call"

    url: str
    body: Any = None
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: Mapping[str, str] = {}

    @property
    def target(self) -> str:
        return self.url

    @property
    def content(self) -> bytes:
        """The bytes of the body."""
        if self.body is None:
            return b""
        return self.body.encode() if isinstance(self.body, str) else to_json(self.body)

    def check(self) -> None:
        place_of(self.url)
        if self.method not in _METHODS:
            raise PermanentError(f"A call's method is one of {', '.join(_METHODS)}, not {str(self.method)[:20]!r}.")
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(str(value)):
                raise PermanentError(f"The header {name[:100]!r} is not printable ASCII on one line.")
            if name.lower() in _SECRET:
                raise PermanentError(f"The header {name!r} holds a secret, and what is declared is stored for ever.")
            if name.lower() in _OURS or name.lower().startswith("webhook-"):
                raise PermanentError(f"The header {name!r} is set by the service itself.")
        if len(self.content) > MAX_BODY:
            raise PermanentError(f"The body of a call may be {MAX_BODY:,} bytes.")


class Email(Call, frozen=True, kw_only=True):
    """Send an e-mail from the operator's address; with `html` in both forms."""

    kind: ClassVar[str] = "email"

    to: Sequence[str]
    subject: str
    text: str
    html: str | None = None

    def __post_init__(self) -> None:
        structs.force_setattr(self, "to", (self.to,) if isinstance(self.to, str) else tuple(self.to))

    @property
    def target(self) -> str:
        return ", ".join(self.to)

    def check(self) -> None:
        if not 1 <= len(self.to) <= MAX_RECIPIENTS:
            raise PermanentError(f"An e-mail goes to 1 to {MAX_RECIPIENTS} addresses, not {len(self.to)}.")
        for address in self.to:
            # An encoded word, as `=?utf-8?q?a=40b?=`, would be another address where the header is read.
            if "=?" in address or not _ADDRESS.fullmatch(address):
                raise PermanentError(f"{address[:100]!r} is not an e-mail address such as user@example.org.")
        if not _SUBJECT.fullmatch(self.subject):
            raise PermanentError("The subject of an e-mail is one line of 1 to 900 characters.")
        if len(self.text.encode()) + len((self.html or "").encode()) > MAX_BODY:
            raise PermanentError(f"The text of an e-mail may be {MAX_BODY:,} bytes.")


CALLS = frozenset[type[Effect]]({HttpCall, Email})
"""The kinds of calls."""
KINDS: Mapping[str, type[Effect]] = {effect.kind: effect for effect in (IndexDocument, EmitEvent, HttpCall, Email)}
"""Every kind there is, by its name."""


def effect_from_members(members: Mapping[str, Any]) -> Effect:
    """Rebuild an effect from its JSON members."""
    kind = KINDS[members["kind"]]
    return kind(**{name: members[name] for name in kind.__struct_fields__})


def effect_id(event_id: str, effect: Effect, *, pipeline: str, generation: int) -> str:
    """The id of a declared effect, the same for ever; of a follow-up, the id of its event."""
    # The word is of the time when there was one kind of effect; ids that are stored keep it in use.
    return derived_id(event_id, "follow-up", pipeline, generation, effect.node, effect.ordinal)
