"""MemoryDeadLetters: dead letters read off the rows."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime

from application.ports.context_log import NewContext, RecordedContext
from application.ports.dead_letters import DeadLetter, DeadLetterFilter, DeadLetters, FailureGroup
from infrastructure.memory.tables import MemoryTables


class MemoryDeadLetters(DeadLetters):
    """Keeps dead letters in memory."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def find(self, wanted: DeadLetterFilter, *, before: int | None = None, limit: int) -> list[DeadLetter]:
        with self._tables.lock:
            letters = [letter for letter in self._all() if _fits(letter, wanted)]
        return [letter for letter in reversed(letters) if before is None or letter.event.position < before][:limit]

    def of(self, positions: Sequence[int]) -> list[DeadLetter]:
        with self._tables.lock:
            return [letter for letter in self._all() if letter.event.position in positions]

    def groups(self, wanted: DeadLetterFilter) -> list[FailureGroup]:
        with self._tables.lock:
            contexts = [letter.context for letter in self._all() if _fits(letter, wanted)]
        died: dict[tuple[str, str | None], list[datetime]] = defaultdict(list)
        for context in contexts:
            died[context.pipeline, context.failure].append(context.recorded_at)
        found = [
            FailureGroup(pipeline=pipeline, failure=failure, count=len(times), first_at=min(times), last_at=max(times))
            for (pipeline, failure), times in died.items()
        ]
        return sorted(found, key=lambda group: (-group.count, group.pipeline, group.failure or ""))

    def requeue(self, positions: Sequence[int]) -> list[int]:
        tables = self._tables
        with tables.lock:
            found = self._subscriptions(positions)
            for position, name in found.items():
                tables.make_claim(name, position, position, available_at=tables.clock())
            self._let_go(found)
        return list(found)

    def discard(self, contexts: Sequence[NewContext]) -> list[int]:
        tables = self._tables
        with tables.lock:
            found = self._subscriptions([context.event_position for context in contexts])
            tables.append_contexts([context for context in contexts if context.event_position in found])
            self._let_go(found)
        return list(found)

    def _all(self) -> list[DeadLetter]:
        letters = []
        for row in self._tables.events:
            context = self._tables.deciding_context(row.position)
            if context is not None and context.status == "dead" and self._tables.claim_over(row) is None:
                letters.append(DeadLetter(row.event, context))
        return letters

    def _subscriptions(self, positions: Sequence[int]) -> dict[int, str]:
        """Which of these are dead letters, and the subscription that each belongs to."""
        return {
            letter.event.position: name
            for letter in self._all()
            for name, cursor in self._tables.cursors.items()
            if letter.event.position in positions
            and cursor.route == letter.context.pipeline
            and cursor.has_lane_of(letter.event)
        }

    def _let_go(self, found: Collection[int]) -> None:
        for cursor in self._tables.cursors.values():
            if cursor.route is not None and cursor.held in found:
                cursor.held = None


def _fits(letter: DeadLetter, wanted: DeadLetterFilter) -> bool:
    context: RecordedContext = letter.context
    return (
        (wanted.pipeline is None or wanted.pipeline == context.pipeline)
        and (wanted.type is None or wanted.type == letter.event.type)
        and (wanted.failure is None or wanted.failure == context.failure)
        and (wanted.since is None or wanted.since <= context.recorded_at)
        and (wanted.until is None or context.recorded_at < wanted.until)
    )
