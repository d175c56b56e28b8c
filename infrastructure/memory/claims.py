"""MemoryClaims: claims and cursors in memory; the plain meaning of every rule about them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from application.ports.claims import Backlog, Claim, Claims, Completion
from application.ports.context_log import NewContext, RecordedContext
from application.subscription import Subscription, lease_of
from domain.errors import CompletionRefused, Misconfigured
from infrastructure.memory.tables import ClaimRow, Cursor, MemoryTables


class MemoryClaims(Claims):
    """Keeps claims and cursors in memory."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def register(self, subscriptions: Iterable[Subscription]) -> None:
        with self._tables.lock:
            new = [subscription for subscription in subscriptions if subscription.name not in self._tables.cursors]
            retired = self._retire_other_lanes(new)
            for subscription in new:
                self._tables.cursors[subscription.name] = Cursor(
                    log=subscription.log,
                    position=retired.get(subscription.route, subscription.selection.after),
                    route=subscription.route,
                    lane=subscription.selection.lane,
                )

    def _retire_other_lanes(self, new: Sequence[Subscription]) -> dict[str | None, int]:
        """Remove other lanes of the same pipelines; by pipeline, the position from which the new ones go on."""
        routes = {subscription.route for subscription in new} - {None}
        names = {subscription.name for subscription in new}
        cursors = self._tables.cursors
        others = [name for name, cursor in cursors.items() if cursor.route in routes and name not in names]
        for name in others:
            cursor = cursors[name]
            if self._rows(name) or self._tables.positions("events", cursor.selection, after=cursor.position):
                raise Misconfigured(f"Pipeline {cursor.route!r} has other lanes than until now, and events wait.")
        return {cursors.pop(name).route: len(self._tables.events) for name in others}

    def ranges(self, name: str) -> list[tuple[int, int]]:
        with self._tables.lock:
            return sorted((row.first, row.last) for row in self._rows(name))

    def owners(self, name: str) -> list[str]:
        with self._tables.lock:
            now = self._tables.clock()
            return sorted({row.owner for row in self._rows(name) if row.owner is not None and row.is_leased(now)})

    def subscriptions(self) -> list[str]:
        with self._tables.lock:
            return sorted(self._tables.cursors)

    def take(self, subscription: Subscription, *, owner: str, due_first: bool = True) -> Claim | None:
        with self._tables.lock:
            if not self.claimable(subscription):
                return None
            cursor = self._tables.cursors[subscription.name]
            ways = (self._due, self._next) if due_first else (self._next, self._due)
            row = ways[0](subscription, cursor) or ways[1](subscription, cursor)
            if row is None:
                return None
            row.fence += 1
            row.owner = owner
            row.progress = None
            row.available_at = self._tables.clock() + timedelta(seconds=lease_of(subscription))
            cursor.takings += 1
            more = bool(self._due_rows(subscription.name)) or cursor.position < self._head(cursor)
            return Claim(
                id=row.id,
                subscription=row.subscription,
                first=row.first,
                last=row.last,
                attempt=row.attempt,
                deaths=row.deaths,
                fence=row.fence,
                more=more,
            )

    def claimable(self, subscription: Subscription) -> bool:
        with self._tables.lock:
            cursor = self._tables.cursors.get(subscription.name)
            if cursor is None or cursor.paused or cursor.held is not None:
                return False
            now = self._tables.clock()
            rows, due = self._rows(subscription.name), self._due_rows(subscription.name)
            leased = sum(row.is_leased(now) for row in rows)
            if subscription.max_claims is not None and leased >= subscription.max_claims:
                return False
            if subscription.in_order and rows:
                return min(rows, key=lambda row: row.first) in due
            last = subscription.selection.last
            head = self._head(cursor)
            return bool(due) or cursor.position < (head if last is None else min(last, head))

    def _due(self, subscription: Subscription, _: Cursor) -> ClaimRow | None:
        """The claim that has waited longest, in order the lowest; one whose worker died is counted, a range split."""
        order = (lambda row: row.first) if subscription.in_order else (lambda row: row.available_at)
        due = min(self._due_rows(subscription.name), key=order, default=None)
        if due is None or due.owner is None:
            return due
        if due.first == due.last:
            due.deaths += 1
            return due
        del self._tables.claims[due.id]
        positions = self._tables.positions(subscription.log, subscription.selection, after=due.first - 1, last=due.last)
        now = self._tables.clock()
        singles = [
            self._tables.make_claim(due.subscription, position, position, available_at=now, attempt=due.attempt)
            for position in positions
        ]
        return singles[0] if singles else None

    def _next(self, subscription: Subscription, cursor: Cursor) -> ClaimRow | None:
        """A new claim on the next selected rows; the cursor passes over what is not selected."""
        if subscription.in_order and self._rows(subscription.name):
            return None
        selection = subscription.selection
        found = self._tables.positions(subscription.log, selection, after=cursor.position)[: subscription.batch]
        if len(found) == subscription.batch:
            cursor.position = found[-1]
        else:
            end = self._head(cursor)
            cursor.position = max(cursor.position, end if selection.last is None else min(end, selection.last))
        if not found:
            return None
        return self._tables.make_claim(subscription.name, found[0], found[-1], available_at=self._tables.clock())

    def heartbeat(self, claim: Claim, *, lease: float, progress: Mapping[str, Any] | None = None) -> bool:
        with self._tables.lock:
            row = self._held(claim)
            if row is None:
                return False
            row.available_at = self._tables.clock() + timedelta(seconds=lease)
            row.progress = row.progress if progress is None else dict(progress)
            return True

    def complete(self, claim: Claim, completion: Completion) -> bool:
        tables = self._tables
        with tables.lock:
            if self._held(claim) is None:
                return False
            self._refuse_doubles(claim, completion)
            deaths = tables.claims.pop(claim.id).deaths
            if completion.hold is not None:
                tables.cursors[claim.subscription].held = completion.hold
            now = tables.clock()
            for back in completion.requeues:
                due = now + timedelta(seconds=back.delay)
                tables.make_claim(
                    claim.subscription, back.first, back.last, attempt=back.attempt, deaths=deaths, available_at=due
                )
            tables.append_contexts(completion.contexts)
            return True

    def _refuse_doubles(self, claim: Claim, completion: Completion) -> None:
        """What the unique indexes of a database refuse."""
        seen = {_result(row.context) for row in self._tables.contexts if row.context.status == "completed"}
        for context in completion.contexts:
            if context.status == "completed":
                if _result(context) in seen:
                    raise CompletionRefused(
                        f"Event {context.event_position} has a completed context of {context.pipeline!r} in "
                        f"generation {context.generation} already."
                    )
                seen.add(_result(context))
        others = self._tables.claims.values()
        begun = {row.first for row in others if row.subscription == claim.subscription and row.id != claim.id}
        for requeue in completion.requeues:
            if requeue.first in begun:
                raise CompletionRefused(f"A claim of {claim.subscription!r} begins at {requeue.first} already.")
            begun.add(requeue.first)

    def abandon(self, claim: Claim) -> None:
        with self._tables.lock:
            row = self._held(claim)
            if row is not None:
                row.available_at = self._tables.clock()

    def release(self, owner: str) -> int:
        with self._tables.lock:
            held = [row for row in self._tables.claims.values() if row.owner == owner]
            for row in held:
                row.owner, row.available_at, row.fence = None, self._tables.clock(), row.fence + 1
            return len(held)

    def rewind(self, subscription: Subscription) -> None:
        with self._tables.lock:
            cursor = self._tables.cursors.get(subscription.name)
            if cursor is not None:
                cursor.position = subscription.selection.after
            for row in self._rows(subscription.name):
                del self._tables.claims[row.id]

    def forget(self, names: Sequence[str]) -> None:
        with self._tables.lock:
            for name in names:
                self._tables.cursors.pop(name, None)
                for row in self._rows(name):
                    del self._tables.claims[row.id]

    def end_leases(self, owner_prefix: str) -> int:
        with self._tables.lock:
            rows = self._tables.claims.values()
            held = [row for row in rows if row.owner is not None and row.owner.startswith(owner_prefix)]
            for row in held:
                row.available_at = self._tables.clock()
            return len(held)

    def backlog(self, names: Sequence[str]) -> Mapping[str, Backlog]:
        with self._tables.lock:
            cursors = self._tables.cursors
            return {name: self._backlog(name, cursors[name]) for name in names if name in cursors}

    def _backlog(self, name: str, cursor: Cursor) -> Backlog:
        rows = self._rows(name)
        due = self._due_rows(name)
        head = self._head(cursor)
        return Backlog(
            route=cursor.route,
            lane=cursor.lane,
            paused=cursor.paused,
            held=cursor.held,
            cursor=cursor.position,
            head=head,
            claims=len(rows),
            due=len(due),
            claimed=sum(row.last - row.first + 1 for row in rows),
            has_due=not cursor.paused and cursor.held is None and (bool(due) or cursor.position < head),
            mark=(max((row.id for row in rows), default=0), cursor.takings),
            oldest_due=min((row.available_at for row in due), default=None),
        )

    def _head(self, cursor: Cursor) -> int:
        return len(self._tables.rows(cursor.log))

    def _rows(self, name: str) -> list[ClaimRow]:
        return [row for row in self._tables.claims.values() if row.subscription == name]

    def _due_rows(self, name: str) -> list[ClaimRow]:
        now = self._tables.clock()
        return [row for row in self._rows(name) if row.available_at <= now]

    def _held(self, claim: Claim) -> ClaimRow | None:
        row = self._tables.claims.get(claim.id)
        return row if row is not None and row.fence == claim.fence else None


def _result(context: NewContext | RecordedContext) -> tuple[int, str, int]:
    return context.event_position, context.pipeline, context.generation
