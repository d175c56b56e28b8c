"""TaskStates: how far each event is, derived from contexts and claims; a task id is an event id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from domain.events import RecordedEvent

TaskStatus = Literal["queued", "running", "retrying", "succeeded", "failed", "discarded", "unrouted"]
PastStatus = Literal["succeeded", "failed", "discarded", "unrouted", "open"]
"""What the logs can tell of a past moment. `open`: not ended by then; whether it waited or ran is not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventClaim:
    """The claim that covers an event: whose it is, and the positions from `first` to `last` that it covers.

    While `owner` holds it, `available_at` is the end of the lease, else when it may be taken. `attempt` counts runs
    that ended, `deaths` lost leases.
    """

    subscription: str
    first: int
    last: int
    attempt: int
    deaths: int
    owner: str | None
    available_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskState:
    """The state of one event's live run (generation 0).

    `attempt` counts ended runs; `progress` is what the running worker last said; `due_at` is when a waiting
    claim may be taken; `context_position` names the context that decided the state. `claim` covers the event, as long
    as it has not ended; two states that differ in it alone are the same.
    """

    status: TaskStatus
    attempt: int = 0
    progress: Mapping[str, Any] | None = None
    due_at: datetime | None = None
    context_position: int | None = None
    claim: EventClaim | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class EventState:
    """An event and how far it is."""

    event: RecordedEvent
    state: TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """What a listing asks for; None asks for nothing.

    `since` is inclusive, `until` exclusive, both on `time`; `last` is the last position that may be listed.
    """

    type: str | None = None
    subject: str | None = None
    status: TaskStatus | None = None
    since: datetime | None = None
    until: datetime | None = None
    last: int | None = None


class TaskStates(Protocol):
    """Reads states, one or by the page."""

    def of(self, events: Sequence[RecordedEvent]) -> list[TaskState]:
        """The state of each event: its completed context; else the claim that covers it; else its last context.

        completed → succeeded; a live lease → running; a claim tried before → retrying; another claim, or none
        and no context → queued; dead → failed; discarded; no route → unrouted.
        """
        ...

    def find(
        self, wanted: EventFilter, *, before: int | None = None, after: int | None = None, limit: int
    ) -> list[EventState]:
        """Events that fit, newest first from below position `before`; with `after`, oldest first from above it.

        An answer is of one moment: each event has the status that was asked for. A status is looked for where it is
        rare (claims, contexts that are not completed), never by reading the log through.
        """
        ...
