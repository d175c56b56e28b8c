"""MemoryControls: an operator's decisions in memory."""

from collections.abc import Sequence

from application.ports.controls import Controls
from domain.errors import NotFound
from infrastructure.memory.tables import ClaimRow, Cursor, EventRow, MemoryTables


class MemoryControls(Controls):
    """Keeps the decisions in memory."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def named(self, name: str) -> list[str]:
        with self._tables.lock:
            return sorted(each for each, cursor in self._tables.cursors.items() if name in {each, cursor.route})

    def pause(self, subscriptions: Sequence[str]) -> None:
        with self._tables.lock:
            for name in subscriptions:
                self._tables.cursors[name].paused = True

    def resume(self, subscriptions: Sequence[str]) -> None:
        with self._tables.lock:
            for name in subscriptions:
                self._tables.cursors[name].paused = False

    def adopt(self, old: str, new: str) -> int:
        tables = self._tables
        with tables.lock:
            givers, takers = self._of(old), self._of(new)
            moved = [(row, claim) for row in tables.events for claim in [self._unended(row, givers)] if claim]
            for name, cursor in givers.items():
                cursor.position = len(tables.events)
                for claim in [each for each in tables.claims.values() if each.subscription == name]:
                    del tables.claims[claim.id]
            for row, claim in moved:
                taker = next(name for name, cursor in takers.items() if cursor.has_lane_of(row.event))
                due = tables.clock() if claim.owner is not None else claim.available_at
                tables.make_claim(taker, row.position, row.position, attempt=claim.attempt, available_at=due)
            return len(moved)

    def _of(self, route: str) -> dict[str, Cursor]:
        found = {name: cursor for name, cursor in self._tables.cursors.items() if cursor.route == route}
        if not found:
            raise NotFound(f"No process has ever loaded a pipeline called {route!r}.")
        return found

    def _unended(self, row: EventRow, givers: dict[str, Cursor]) -> ClaimRow | None:
        """The giver's claim over an event, or one as it would be made next."""
        decided = self._tables.deciding_context(row.position)
        claim = self._tables.claim_over(row)
        if decided is not None and decided.status == "completed":
            return None
        if claim is not None:
            return claim if claim.subscription in givers else None
        behind = any(row.fits(cursor.selection) and row.position > cursor.position for cursor in givers.values())
        position, now = row.position, self._tables.clock()
        return ClaimRow(id=0, subscription="", first=position, last=position, available_at=now) if behind else None
