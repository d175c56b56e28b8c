"""MemoryTaskStates: states read off the rows, event by event."""

from collections.abc import Sequence

from application.ports.task_states import EventClaim, EventFilter, EventState, TaskState, TaskStates
from domain.events import RecordedEvent
from infrastructure.memory.tables import ClaimRow, EventRow, MemoryTables


class MemoryTaskStates(TaskStates):
    """Reads the states of events in memory."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def of(self, events: Sequence[RecordedEvent]) -> list[TaskState]:
        with self._tables.lock:
            return [self._state(self._tables.events[event.position - 1]) for event in events]

    def find(
        self, wanted: EventFilter, *, before: int | None = None, after: int | None = None, limit: int
    ) -> list[EventState]:
        with self._tables.lock:
            found = [EventState(row.event, self._state(row)) for row in self._tables.events if self._fits(row, wanted)]
        if after is not None:
            return [each for each in found if each.event.position > after][:limit]
        return [each for each in reversed(found) if before is None or each.event.position < before][:limit]

    def _fits(self, row: EventRow, wanted: EventFilter) -> bool:
        event = row.event
        return (
            (wanted.type is None or wanted.type == event.type)
            and (wanted.subject is None or wanted.subject == event.subject)
            and (wanted.since is None or wanted.since <= event.time)
            and (wanted.until is None or event.time < wanted.until)
            and (wanted.last is None or row.position <= wanted.last)
            and (wanted.status is None or wanted.status == self._state(row).status)
        )

    def _state(self, row: EventRow) -> TaskState:
        context = self._tables.deciding_context(row.position, self._tables.view)
        position = None if context is None else context.position
        if context is not None and context.status == "completed":
            return TaskState(status="succeeded", context_position=position)
        claim = self._tables.claim_over(row)
        if claim is not None:
            covering = _event_claim(claim)
            if claim.is_leased(self._tables.clock()):
                return TaskState(status="running", attempt=claim.attempt, progress=claim.progress, claim=covering)
            return TaskState(
                status="retrying" if claim.attempt else "queued",
                attempt=claim.attempt,
                due_at=claim.available_at,
                context_position=position,
                claim=covering,
            )
        if context is not None and context.status == "dead":
            return TaskState(status="failed", context_position=position)
        if context is not None and context.status == "discarded":
            return TaskState(status="discarded", context_position=position)
        return TaskState(status="queued" if row.event.route is not None else "unrouted")


def _event_claim(row: ClaimRow) -> EventClaim:
    names = ("subscription", "first", "last", "attempt", "deaths", "owner", "available_at")
    return EventClaim(**{name: getattr(row, name) for name in names})
