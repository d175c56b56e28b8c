"""History: the steps of one effect, and what they mean. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal

from application.ports.effect_ledger import OUTCOMES, Entry
from domain.retry import Retry

EffectStatus = Literal["pending", "failed", "unknown", "done", "dead"]

_MINUTE, _HOUR = 60.0, 3600.0
SCHEDULE = Retry(
    schedule=(
        5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR,
    )
)  # fmt: skip
"""When a call that failed is tried again: the schedule that Standard Webhooks recommends."""


@dataclass(frozen=True, slots=True)
class History:
    """The steps of one effect, by ascending position."""

    entries: Sequence[Entry] = ()

    @property
    def attempts(self) -> int:
        """How many attempts were begun, or ended without beginning."""
        return max((entry.attempt for entry in self.entries), default=0)

    @property
    def tried(self) -> int:
        """How many attempts were begun since an operator last asked to try again."""
        return sum(entry.phase == "intent" for entry in self._counted)

    @property
    def lost(self) -> int:
        """How many of these have no outcome: their worker died."""
        ended = {entry.attempt for entry in self._counted if entry.phase in OUTCOMES}
        return sum(entry.phase == "intent" and entry.attempt not in ended for entry in self._counted)

    @property
    def due_at(self) -> datetime | None:
        """When it is tried again, None where it is not waiting."""
        last = self.last
        if last is None or last.phase != "failed":
            return None
        return last.recorded_at + timedelta(seconds=float(last.detail.get("retry_in", 0.0)))

    @property
    def last(self) -> Entry | None:
        """The step that decides: the last of the last attempt, or that which ended the effect."""
        done = next((entry for entry in self.entries if entry.phase == "done"), None)
        return done or max(self._counted, key=lambda entry: (entry.attempt, entry.position), default=None)

    def status(self, *, leased: bool) -> EffectStatus:
        """The state of the effect; `leased`: a worker holds the claim of its context now.

        `pending` has not been tried since it was last asked for, or is being tried; `failed` is due again; `unknown`
        was begun by a worker that died, so that the other side may or may not have heard; `dead` is not tried again.
        """
        last = self.last
        if last is None or last.phase == "retry":
            return "pending"
        if last.phase == "intent":
            return "pending" if leased else "unknown"
        if last.phase in {"gave_up", "disabled"}:
            return "dead"
        return "done" if last.phase == "done" else "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do."""
        return self.status(leased=True) in {"done", "dead"}

    @property
    def _counted(self) -> Sequence[Entry]:
        asked = [index for index, entry in enumerate(self.entries) if entry.phase == "retry"]
        return self.entries[asked[-1] :] if asked else self.entries


def histories_of(entries: Iterable[Entry]) -> Mapping[str, History]:
    """The history of each effect that some steps are of, by its id."""
    ordered = sorted(entries, key=lambda entry: (entry.effect_id, entry.position))
    return {key: History(tuple(steps)) for key, steps in groupby(ordered, key=lambda entry: entry.effect_id)}
