"""Subscription: who follows which rows of which log, and how its work is claimed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from domain.retry import Retry

Log = Literal["events", "task_contexts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows of a log: a filter on columns that never change, so that it means the same for ever.

    `where` asks for equality (None: the column is null); `direct` is true of events that have their own claim.
    `since` (inclusive) and `until` (exclusive) bound the event's `time`; `after` (exclusive) and `last`
    (inclusive, None: no end) bound the position. `positions`, where given, are the only rows there are, in
    ascending order.
    """

    where: Mapping[str, Any] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    after: int = 0
    last: int | None = None
    positions: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A name, a log, a selection, and the policy of its claims.

    A claim covers at most `batch` selected rows and is leased for `lease` seconds at a time; heartbeats extend
    it. A run that fails transiently is tried again as `retry` says. A new subscription's cursor starts at
    `selection.after`.

    Work in the `background` gives way to all other: only the sweep rings for it, and it takes one claim a turn while
    anything else is due.
    """

    name: str
    log: Log
    selection: Selection = field(default_factory=Selection)
    batch: int = 500
    lease: float = 30.0
    retry: Retry = field(default_factory=Retry)
    background: bool = False


def of_pipeline(name: str, *, batch: int = 500, lease: float = 30.0, retry: Retry | None = None) -> Subscription:
    """The subscription of a pipeline: the events routed to it, but for those that have their own claim."""
    return Subscription(
        name=name,
        log="events",
        selection=Selection(where={"route": name, "direct": False}),
        batch=batch,
        lease=lease,
        retry=retry or Retry(),
    )
