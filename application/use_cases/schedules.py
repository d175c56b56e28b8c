"""Schedules: each slot's event is appended once, however many clocks there are.

The slot is the event's key: the log's own promise about keys makes it one event, in one commit, for ever.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from pydantic_core import to_json

from application.ports.dispatcher import Dispatcher
from application.ports.event_log import EventLog
from application.subscription import subscription_with
from domain.events import NewEvent
from domain.registry import PipelineRegistry
from domain.schedule import Schedule

FRESH = timedelta(seconds=60)
"""How late a slot may be sent and not count as missed."""
MAX_SLOTS = 500
"""Slots of one schedule that one tick sends; the next sends the next."""

Slots = Callable[[Schedule, datetime], Iterator[datetime]]
"""The slots of a schedule after a time, in ascending order, without end."""


class Clockwork:
    """Sends what is due by the database's clock. Two of them send no slot twice."""

    def __init__(
        self,
        *,
        registry: PipelineRegistry,
        slots: Slots,
        events: EventLog,
        dispatcher: Dispatcher,
        new_id: Callable[[], str],
        now: Callable[[], datetime],
    ) -> None:
        """`now` is the log's clock, which is one for all."""
        self._registry = registry
        self._now = now
        self._slots = slots
        self._events = events
        self._dispatcher = dispatcher
        self._new_id = new_id
        self._began: datetime | None = None

    def tick(self) -> int:
        """Append the events of the slots that are due; how many slots nobody else had sent.

        A schedule that never sent counts from the first tick.

        Raises:
            Unavailable: the database cannot be reached; the slots stay due.
        """
        schedules = [schedule for pipeline in self._registry for schedule in pipeline.schedules]
        if not schedules:
            return 0
        now = self._now()
        self._began = self._began or now
        return sum(self._send(schedule, now) for schedule in schedules)

    def _send(self, schedule: Schedule, now: datetime) -> int:
        since = last_slot(schedule, events=self._events) or self._began or now
        chosen = _chosen(schedule, self._slots(schedule, since), now)
        if not chosen:
            return 0
        # A key with other data: another clock, with other code, sent that slot. It is sent.
        verdicts = self._events.append([self._event(schedule, slot) for slot in chosen])
        sent = sum(verdict.refusal is None and not verdict.repeated for verdict in verdicts)
        if sent:
            name = subscription_with(self._event(schedule, chosen[-1]), self._registry)
            assert name is not None
            self._dispatcher.ring(name)
        return sent

    def _event(self, schedule: Schedule, slot: datetime) -> NewEvent:
        pipeline = self._registry.pipeline_for(schedule.type)
        return NewEvent(
            id=self._new_id(),
            type=schedule.type,
            data=to_json(schedule.data).decode(),
            source=schedule.source,
            subject=schedule.name,
            time=slot,
            key=key_of(slot),
            route=pipeline.name,
            schema_version=pipeline.schemas[schedule.type].version,
        )


def key_of(slot: datetime) -> str:
    """The key of a slot's event: its UTC time, so that keys sort as times do."""
    return slot.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def last_slot(schedule: Schedule, *, events: EventLog) -> datetime | None:
    """The last slot that was sent."""
    key = events.last_key(schedule.source)
    return None if key is None else datetime.fromisoformat(key)


def _chosen(schedule: Schedule, slots: Iterator[datetime], now: datetime) -> Sequence[datetime]:
    due = _until(slots, now)
    if schedule.missed == "all":
        return list(islice(due, MAX_SLOTS))
    last = None
    for last in due:  # noqa: B007  # only the last one matters
        pass
    if last is None or (schedule.missed == "skip" and now - last > FRESH):
        return []
    return [last]


def _until(slots: Iterable[datetime], now: datetime) -> Iterator[datetime]:
    for slot in slots:
        if slot > now:
            return
        yield slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """A schedule, the last slot that was sent, and the next one."""

    schedule: Schedule
    pipeline: str
    last: datetime | None
    next: datetime


def list_schedules(*, registry: PipelineRegistry, slots: Slots, events: EventLog) -> list[Scheduled]:
    """Every schedule of the loaded pipelines, by name."""
    now = events.now()
    found = [
        Scheduled(
            schedule=schedule,
            pipeline=pipeline.name,
            last=last_slot(schedule, events=events),
            next=next(slots(schedule, now)),
        )
        for pipeline in registry
        for schedule in pipeline.schedules
    ]
    return sorted(found, key=lambda each: each.schedule.name)
