"""Subscription: who follows which rows of which log, and how its work is claimed."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from domain.events import NewEvent, RecordedEvent
from domain.pipeline import Pipeline
from domain.registry import PipelineRegistry
from domain.retry import Retry

Log = Literal["events", "task_contexts"]
GRACE_SECONDS = 2.0
"""How long after its limit a run's process is gone for sure."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One of several lanes of a log: the events whose lane number leaves `number` when divided by `of`."""

    number: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows of a log: a filter on columns that never change, so that it means the same for ever.

    `where` asks for equality (None: the column is null); `direct` is true of events that have their own claim.
    `since` (inclusive) and `until` (exclusive) bound the event's `time`; `after` (exclusive) and `last`
    (inclusive, None: no end) bound the position. `positions`, where given, are the only rows there are, in
    ascending order. `lane` asks for the events of one lane.
    """

    where: Mapping[str, Any] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    after: int = 0
    last: int | None = None
    positions: tuple[int, ...] | None = None
    lane: Lane | None = None

    def has(self, row: Mapping[str, Any]) -> bool:
        """Whether it selects the row with these columns. Of a row without a `time`, `since` and `until` ask nothing."""
        position, time = row["position"], row.get("time")
        return (
            position > self.after
            and (self.last is None or position <= self.last)
            and (self.positions is None or self._lists(position))
            and (time is None or self.since is None or self.since <= time)
            and (time is None or self.until is None or time < self.until)
            and (self.lane is None or row["lane"] % self.lane.of == self.lane.number)
            and all(row[name] == value for name, value in self.where.items())
        )

    def _lists(self, position: int) -> bool:
        listed = self.positions or ()
        place = bisect_left(listed, position)
        return place < len(listed) and listed[place] == position


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A name, a log, a selection, and the policy of its claims.

    A claim covers at most `batch` selected rows and is leased for `lease` seconds at a time; heartbeats extend
    it. A run that fails transiently is tried again as `retry` says. At most `max_claims` claims are held at a time,
    over all machines. A process whose run of one claim takes longer than `limit` seconds is ended. A new
    subscription's cursor starts at `selection.after`.

    `in_order`: rows end in the order of their positions; what failed stands before what follows it. `hold` says that
    a dead letter does so too, until an operator decides; else it is passed. `route` is the pipeline whose events
    these are, None for a subscription that is not a pipeline's live one.

    For work in the `background` only the sweep rings.
    """

    name: str
    log: Log
    selection: Selection = field(default_factory=Selection)
    batch: int = 500
    lease: float = 30.0
    retry: Retry = field(default_factory=Retry)
    max_claims: int | None = None
    limit: float | None = None
    in_order: bool = False
    hold: bool = False
    route: str | None = None
    background: bool = False

    def gives_way_to(self, other: "Subscription") -> bool:
        """Whether it takes one claim a turn while the other has work that is due.

        In the background it does so for all that is not; what is no pipeline's, for the events of the pipelines.
        """
        if self.background:
            return not other.background
        return self.route is None and other.route is not None


def lease_of(subscription: Subscription) -> float:
    """Seconds that a taking is leased for: where the run is ended earlier, little longer than that."""
    limit = subscription.limit
    return subscription.lease if limit is None else min(subscription.lease, limit + GRACE_SECONDS)


def of_pipeline(name: str, *, lane: Lane | None = None, **policy: Any) -> Subscription:
    """The subscription of a pipeline or of one of its lanes.

    It has the events routed to the pipeline, but for those that have their own claim; `policy` is as Subscription
    has it.
    """
    return Subscription(
        name=name if lane is None else f"{name}:{lane.number + 1}/{lane.of}",
        log="events",
        selection=Selection(where={"route": name, "direct": False}, lane=lane),
        in_order=lane is not None,
        route=name,
        **policy,
    )


def subscriptions_of(pipeline: Pipeline, *, batch: int, lease: float) -> list[Subscription]:
    """The subscriptions that work a pipeline's events: one, or one for each of its lanes."""
    policy: dict[str, Any] = {
        "batch": pipeline.batch or batch,
        "lease": lease,
        "retry": pipeline.retry,
        "max_claims": pipeline.max_claims,
        "limit": pipeline.limit,
    }
    if not pipeline.lanes:
        return [of_pipeline(pipeline.name, **policy)]
    lanes = (Lane(number, pipeline.lanes) for number in range(pipeline.lanes))
    return [of_pipeline(pipeline.name, lane=lane, hold=pipeline.on_failure == "hold", **policy) for lane in lanes]


def subscription_with(event: NewEvent | RecordedEvent, registry: PipelineRegistry) -> str | None:
    """The name of the subscription that has an event, None for an unrouted one.

    Of a route that is not loaded here nobody knows the lanes: its own name is the answer.
    """
    route = event.route
    if route is None or route not in registry or not (lanes := registry.named(route).lanes):
        return route
    return of_pipeline(route, lane=Lane(event.lane % lanes, lanes)).name
