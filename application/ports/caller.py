"""Caller: carries out one kind of declared call, once. It decides nothing about repeating it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from domain.effects import Call

KEPT_BODY = 1000
"""Characters of an answer's body that the ledger keeps."""
MAX_ANSWER = 65_536
"""Bytes of an answer's body that are read; with `answer_type` they are appended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the other side said: `status` in the words of its protocol, and the body as text."""

    status: int
    content_type: str | None
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """How a call ended. `gave_up`: no further attempt can succeed. `gone`: nor can any other call of this target.

    `error` says in a sentence why it is not done; `retry_after` is how many seconds the other side asks to wait.
    `detail` is further JSON for the ledger.
    """

    phase: Literal["done", "failed", "gave_up"]
    answer: Answer | None = None
    error: str | None = None
    retry_after: float | None = None
    gone: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)


class Caller(Protocol):
    """Reaches the world outside, by one protocol."""

    def call(self, call: Call, *, effect_id: str) -> CallResult:
        """Carry out a call, within seconds; the receiver can tell a repeat by the id. Whatever fails is a result."""
        ...
