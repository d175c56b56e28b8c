"""MemoryEffectLedger: the ledger of declared calls as a list."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime

from application.ports.effect_ledger import OUTCOMES, EffectClaim, EffectLedger, Entry, NewEntry, Phase
from infrastructure.memory.tables import MemoryTables


class MemoryEffectLedger(EffectLedger):
    """Keeps the steps in memory."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def now(self) -> datetime:
        return self._tables.clock()

    def write(self, entry: NewEntry) -> bool:
        with self._tables.lock:
            known = ((step.effect_id, step.attempt, _part(step.phase)) for step in self._tables.effect_steps)
            if (entry.effect_id, entry.attempt, _part(entry.phase)) in known:
                return False
            members = {field.name: getattr(entry, field.name) for field in fields(NewEntry)}
            position = len(self._tables.effect_steps) + 1
            self._tables.effect_steps.append(Entry(position=position, recorded_at=self._tables.clock(), **members))
            return True

    def of_effect(self, effect_id: str) -> list[Entry]:
        with self._tables.lock:
            return [step for step in self._tables.effect_steps if step.effect_id == effect_id]

    def of_contexts(self, positions: Sequence[int]) -> list[Entry]:
        with self._tables.lock:
            return [step for step in self._tables.effect_steps if step.context_position in positions]

    def last(self, phases: Sequence[Phase], *, limit: int) -> list[Entry]:
        with self._tables.lock:
            return list(self._last(phases))[:limit]

    def count_last(self, phases: Sequence[Phase]) -> int:
        with self._tables.lock:
            return sum(1 for _ in self._last(phases))

    def _last(self, phases: Sequence[Phase]) -> Iterator[Entry]:
        seen = set()
        for step in reversed(self._tables.effect_steps):
            if step.effect_id not in seen and step.phase in phases:
                yield step
            seen.add(step.effect_id)

    def claims(self, subscription: str) -> list[EffectClaim]:
        with self._tables.lock:
            now = self._tables.clock()
            rows = [row for row in self._tables.claims.values() if row.subscription == subscription]
            return [
                EffectClaim(context_position=row.first, leased=row.is_leased(now))
                for row in sorted(rows, key=lambda row: row.first)
            ]

    def reopen(self, entry: NewEntry, *, subscription: str) -> bool:
        with self._tables.lock:
            now, position = self._tables.clock(), entry.context_position
            rows = self._tables.claims.values()
            row = next((row for row in rows if (row.subscription, row.first) == (subscription, position)), None)
            if row is None:
                self._tables.make_claim(subscription, position, position, available_at=now)
            elif row.is_leased(now):
                return False
            else:
                row.available_at = now
            self.write(entry)
            return True

    def is_disabled(self, url: str) -> bool:
        return url in self._tables.disabled_endpoints

    def switch(self, url: str, *, enabled: bool, reason: str) -> bool:  # noqa: ARG002  # nobody reads it in memory
        with self._tables.lock:
            if enabled is not self.is_disabled(url):
                return False
            self._tables.disabled_endpoints.symmetric_difference_update({url})
            return True


def _part(phase: Phase) -> Phase:
    """What an attempt has at most one of: an intent, an outcome, an operator's word."""
    return "done" if phase in OUTCOMES else phase
