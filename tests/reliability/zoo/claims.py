"""Bugs of claims: fences, leases, cursors, deaths, attempts. Planted in the adapters in memory."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from application.ports.claims import Claim, Completion
from application.subscription import Subscription
from infrastructure.memory.claims import MemoryClaims
from infrastructure.memory.tables import ClaimRow, Cursor
from infrastructure.sql import claims as sql_claims
from tests.reliability.simulator.loop import Loop
from tests.reliability.zoo.registry import bug

LOST = r"0 ends and stands in 0 claims"


def _loop(claims: MemoryClaims) -> Loop:
    """The scheduler whose clock the store goes by."""
    loop: Loop = claims._tables.clock.__self__  # type: ignore[attr-defined]  # a bound method of it
    return loop


def _around(patch: pytest.MonkeyPatch, owner: type, name: str, planted: Callable[..., Any]) -> None:
    """Replace a method by one that is handed the original first."""
    original = getattr(owner, name)
    patch.setattr(owner, name, lambda self, *given, **named: planted(original, self, *given, **named))


@bug("a completion is not fenced", shows="which it no longer held")
def _no_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryClaims, "_held", lambda self, claim: self._tables.claims.get(claim.id))


@bug("a taking raises no fence", shows="was given twice under one fence")
def _one_fence(patch: pytest.MonkeyPatch) -> None:
    def take(original: Any, self: MemoryClaims, *given: Any, **named: Any) -> Claim | None:
        claim: Claim | None = original(self, *given, **named)
        if claim is None:
            return None
        self._tables.claims[claim.id].fence = 1
        return replace(claim, fence=1)

    _around(patch, MemoryClaims, "take", take)


@bug("a heartbeat is not fenced", shows="beat for")
def _beat_for_another(patch: pytest.MonkeyPatch) -> None:
    def heartbeat(self: MemoryClaims, claim: Claim, *, lease: float, progress: Any = None) -> bool:
        row = self._tables.claims.get(claim.id)
        if row is not None:
            row.available_at = self._tables.clock() + timedelta(seconds=lease)
        return row is not None

    patch.setattr(MemoryClaims, "heartbeat", heartbeat)


@bug("a lease is judged by the taker's own clock", shows="while .* held it")
def _local_clock(patch: pytest.MonkeyPatch) -> None:
    def due_rows(self: MemoryClaims, name: str) -> list[ClaimRow]:
        task = _loop(self).current
        skew = task.actor.skew if task is not None else 0.0
        now: datetime = self._tables.clock() + timedelta(seconds=skew)
        return [row for row in self._rows(name) if row.available_at <= now]

    patch.setattr(MemoryClaims, "_due_rows", due_rows)


@bug("a cursor is set from what was read before a wait", shows="moved back")
def _cursor_from_the_past(patch: pytest.MonkeyPatch) -> None:
    def take_next(original: Any, self: MemoryClaims, subscription: Subscription, cursor: Cursor) -> Any:
        """Every third taker writes what it read before the one in front of it wrote."""
        read = self.__dict__.setdefault("_read", {}).setdefault(subscription.name, [])
        read.append(cursor.position)
        if len(read) % 3 == 0:
            cursor.position = read[-2]
            return None
        return original(self, subscription, cursor)

    _around(patch, MemoryClaims, "_next", take_next)


@bug("a cursor passes over what was not claimed", shows=f"{LOST}|the index holds None")
def _cursor_runs_ahead(patch: pytest.MonkeyPatch) -> None:
    def take_next(original: Any, self: MemoryClaims, subscription: Subscription, cursor: Cursor) -> Any:
        row = original(self, subscription, cursor)
        cursor.position = max(cursor.position, self._head(cursor) if subscription.selection.last is None else 0)
        return row

    _around(patch, MemoryClaims, "_next", take_next)


@bug("a split drops a position", shows=LOST)
def _split_loses(patch: pytest.MonkeyPatch) -> None:
    def take_due(original: Any, self: MemoryClaims, *given: Any) -> Any:
        before = set(self._tables.claims)
        row = original(self, *given)
        made = sorted(set(self._tables.claims) - before)
        if len(made) > 1:
            del self._tables.claims[made[-1]]
        return row

    _around(patch, MemoryClaims, "_due", take_due)


@bug("a range whose worker died is not split", shows="by WorkerDied")
def _no_split(patch: pytest.MonkeyPatch) -> None:
    def take_due(self: MemoryClaims, subscription: Subscription, _: Cursor) -> ClaimRow | None:
        due = min(self._due_rows(subscription.name), key=lambda row: row.available_at, default=None)
        if due is not None and due.owner is not None:
            due.deaths += 1
        return due

    patch.setattr(MemoryClaims, "_due", take_due)


@bug("deaths are not counted", shows="did not come to rest")
def _no_deaths(patch: pytest.MonkeyPatch) -> None:
    def take_due(original: Any, self: MemoryClaims, *given: Any) -> Any:
        row = original(self, *given)
        if row is not None:
            row.deaths = 0
        return row

    _around(patch, MemoryClaims, "_due", take_due)


@bug("deaths are not counted in the database", shows="was not done after|work is left", parts=("killer",))
def _no_deaths_on_sql(patch: pytest.MonkeyPatch) -> None:
    def take_due(connection: Any, subscription: Any, owner: str, cursor: int) -> Claim | None:
        claim = original(connection, subscription, owner, cursor)
        if claim is not None:
            table = sql_claims.ClaimRow
            connection.execute(sql_claims.update(table).where(table.id == claim.id).values(deaths=0))
        return replace(claim, deaths=0) if claim is not None else None

    original = sql_claims._take_due
    patch.setattr(sql_claims, "_take_due", take_due)


def _with_completion(patch: pytest.MonkeyPatch, change: Callable[[Completion], Completion]) -> None:
    def complete(original: Any, self: MemoryClaims, claim: Claim, completion: Completion) -> bool:
        done: bool = original(self, claim, change(completion))
        return done

    _around(patch, MemoryClaims, "complete", complete)


@bug("what goes back loses its count of attempts", shows="attempts counted|did not come to rest")
def _attempts_lost(patch: pytest.MonkeyPatch) -> None:
    _with_completion(
        patch,
        lambda completion: replace(
            completion, requeues=[replace(requeue, attempt=0) for requeue in completion.requeues]
        ),
    )


@bug("what goes back is not put back", shows=LOST)
def _nothing_goes_back(patch: pytest.MonkeyPatch) -> None:
    _with_completion(patch, lambda completion: replace(completion, requeues=()))


@bug("a claim is acknowledged before its contexts are stored", shows=LOST)
def _acknowledged_early(patch: pytest.MonkeyPatch) -> None:
    def complete(original: Any, self: MemoryClaims, claim: Claim, completion: Completion) -> bool:
        row = self._held(claim)
        if row is None:
            return False
        kept = replace(row)
        del self._tables.claims[claim.id]
        _loop(self).pause()  # another statement, another transaction
        self._tables.claims[claim.id] = kept
        done: bool = original(self, claim, completion)
        return done

    _around(patch, MemoryClaims, "complete", complete)


@bug("what is due is always taken first", shows="times while other work waited")
def _retries_first(patch: pytest.MonkeyPatch) -> None:
    def take(original: Any, self: MemoryClaims, *given: Any, **named: Any) -> Claim | None:
        claim: Claim | None = original(self, *given, **{**named, "due_first": True})
        return claim

    _around(patch, MemoryClaims, "take", take)
