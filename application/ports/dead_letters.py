"""DeadLetters: events whose run ended in failure, and what an operator decides about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from application.ports.context_log import NewContext, RecordedContext
from domain.events import RecordedEvent


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event, and the context with status `dead` that decides its state."""

    event: RecordedEvent
    context: RecordedContext


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterFilter:
    """What is asked for; None asks for nothing.

    `failure` is the kind of failure that letters are grouped by. `since` (inclusive) and `until` (exclusive) are on
    the time at which the event died.
    """

    pipeline: str | None = None
    type: str | None = None
    failure: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Dead letters of one pipeline with one kind of failure: how many, and when the first and the last died."""

    pipeline: str
    failure: str | None
    count: int
    first_at: datetime
    last_at: datetime


class DeadLetters(Protocol):
    """Finds the dead letters of live runs, and ends their state. Doing so again changes nothing."""

    def find(self, wanted: DeadLetterFilter, *, before: int | None = None, limit: int) -> list[DeadLetter]:
        """Letters that fit, by descending position of their events, from below position `before`."""
        ...

    def of(self, positions: Sequence[int]) -> list[DeadLetter]:
        """The letters among the events at these positions, by ascending position."""
        ...

    def groups(self, wanted: DeadLetterFilter) -> list[FailureGroup]:
        """What fits, by pipeline and kind of failure, the largest group first."""
        ...

    def requeue(self, positions: Sequence[int]) -> list[int]:
        """Make these events due now, as if they had not run yet; a lane that one of them held goes on with it.

        The positions that were dead letters of a registered pipeline; the others are left as they are.

        Raises:
            Unavailable: the database cannot be reached.
        """
        ...

    def discard(self, contexts: Sequence[NewContext]) -> list[int]:
        """Append these contexts with status `discarded`; a lane that one of the events held goes on behind it.

        The positions that were dead letters of a registered pipeline; the others are left as they are.

        Raises:
            Unavailable: the database cannot be reached.
        """
        ...
