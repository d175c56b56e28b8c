"""EffectLedger: what was tried of each declared call, written before and after; append-only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

Phase = Literal["intent", "done", "failed", "gave_up", "disabled", "retry"]
OUTCOMES: tuple[Phase, ...] = ("done", "failed", "gave_up", "disabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEntry:
    """One step of one attempt, from 1.

    `intent` is written before the call, `done`, `failed` (tried again), `gave_up` or `disabled` (not sent) after it;
    `retry` is an operator's word that the attempts so far no longer count. `detail` is JSON: `status` and at most 1 kB
    of the `body` of an answer, `error` and `retry_in` (seconds) of a failure.
    """

    effect_id: str
    context_position: int
    event_id: str
    kind: str
    target: str
    attempt: int
    phase: Phase
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(NewEntry):
    """A step in the ledger. Positions ascend; they may have gaps, as nobody follows them."""

    position: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectClaim:
    """A claim of the subscription that carries out effects: its context, and whether a worker holds it."""

    context_position: int
    leased: bool


class EffectLedger(Protocol):
    """Keeps the steps, and which endpoints are disabled. Only the database's clock counts."""

    def now(self) -> datetime:
        """The time that `recorded_at` is of."""
        ...

    def write(self, entry: NewEntry) -> bool:
        """Append a step, in one durable commit. False where this attempt has its intent, or its outcome, already."""
        ...

    def of_effect(self, effect_id: str) -> list[Entry]:
        """Every step of an effect, by ascending position."""
        ...

    def of_contexts(self, positions: Sequence[int]) -> list[Entry]:
        """Every step of the effects of some contexts, by ascending position."""
        ...

    def last(self, phases: Sequence[Phase], *, limit: int) -> list[Entry]:
        """The effects whose last step is one of these: that step of each, the newest first."""
        ...

    def count_last(self, phases: Sequence[Phase]) -> int:
        """How many effects there are whose last step is one of these."""
        ...

    def claims(self, subscription: str) -> list[EffectClaim]:
        """The claims of the subscription that carries out effects, by ascending position."""
        ...

    def reopen(self, entry: NewEntry, *, subscription: str) -> bool:
        """Append a `retry` and make the context's claim due now, in one commit.

        False, and nothing happens, while a worker holds the claim. Done again, it appends nothing.
        """
        ...

    def is_disabled(self, url: str) -> bool:
        """Whether calls to this URL are not sent: the last word about it disabled it."""
        ...

    def switch(self, url: str, *, enabled: bool, reason: str) -> bool:
        """Say that calls to this URL are sent, or not. False where that was so already."""
        ...
