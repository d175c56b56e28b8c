"""Schedules: each slot once whoever ticks, missed ones by policy, by the log's clock alone."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from pydantic import BaseModel

from application.subscription import Selection
from application.use_cases.schedules import MAX_SLOTS, Clockwork, list_schedules
from domain.errors import InvalidPipeline, Misconfigured
from domain.pipeline import Pipeline
from domain.registry import PipelineRegistry
from infrastructure.cron import require_readable, slots
from infrastructure.memory.dispatcher import MemoryDispatcher
from infrastructure.memory.store import MemoryStore
from playhead import Schedule
from tests.factories import event_id

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Ask(BaseModel):
    what: str = "all"


class Hall:
    """A clock that only it moves, and as many clockworks as are asked for."""

    def __init__(self, **schedule: str) -> None:
        self.now = NOON
        self.store = MemoryStore(lambda: self.now)
        self.dispatcher = MemoryDispatcher()
        self.schedule = Schedule(**{"name": "report", "cron": "*/10 * * * *", "type": "report.asked", **schedule})
        self.registry = PipelineRegistry([reports(self.schedule)])
        self._ids = 0

    def clockwork(self) -> Clockwork:
        return Clockwork(
            registry=self.registry,
            slots=slots,
            events=self.store.events,
            dispatcher=self.dispatcher,
            new_id=self._new_id,
            now=self.store.events.now,
        )

    def _new_id(self) -> str:
        self._ids += 1
        return event_id(self._ids)

    def sent(self) -> list[str]:
        return [f"{event.time:%H:%M}" for event in self.store.events.read(Selection(), limit=9999)]


def reports(*schedules: Schedule) -> Pipeline:
    return Pipeline("reports", {"report.asked": Ask}, schedules=schedules)


def test_a_slot_is_sent_when_it_is_due_and_not_before() -> None:
    hall = Hall()
    clockwork = hall.clockwork()
    assert clockwork.tick() == 0
    hall.now = NOON + timedelta(minutes=9, seconds=59)
    assert clockwork.tick() == 0
    hall.now = NOON + timedelta(minutes=10)
    assert clockwork.tick() == 1
    assert clockwork.tick() == 0
    [event] = hall.store.events.read(Selection(), limit=9)
    assert (event.type, event.route, event.subject) == ("report.asked", "reports", "report")
    assert (event.source, event.key) == ("playhead:schedule:report", "2026-03-01T12:10:00Z")
    assert event.time == hall.now
    assert hall.dispatcher.rings == [("reports", None)]


def test_of_two_clocks_one_sends_each_slot() -> None:
    hall = Hall()
    clocks = [hall.clockwork(), hall.clockwork()]
    sent = 0
    for second in range(0, 7200, 2):
        hall.now = NOON + timedelta(seconds=second)
        sent += sum(clock.tick() for clock in clocks)
    assert sent == 11
    assert len(hall.sent()) == len(set(hall.sent())) == 11


@pytest.mark.parametrize(
    ("missed", "sent"),
    [
        ("all", ["12:10", "12:20", "12:30", "12:40", "12:50"]),
        ("latest", ["12:10", "12:50"]),
        ("skip", ["12:10"]),
    ],
)
def test_what_was_missed_while_no_clock_ran_is_sent_as_the_schedule_says(missed: str, sent: list[str]) -> None:
    hall = Hall(missed=missed)
    clockwork = hall.clockwork()
    clockwork.tick()
    hall.now = NOON + timedelta(minutes=10)
    clockwork.tick()
    hall.now = NOON + timedelta(minutes=55)
    hall.clockwork().tick()
    assert hall.sent() == sent


def test_many_missed_slots_are_sent_a_part_at_a_time() -> None:
    hall = Hall(missed="all", cron="* * * * *")
    clockwork = hall.clockwork()
    clockwork.tick()
    hall.now = NOON + timedelta(minutes=MAX_SLOTS + 7)
    assert [clockwork.tick() for _ in range(3)] == [MAX_SLOTS, 7, 0]


def test_a_schedule_that_never_sent_counts_from_the_first_tick() -> None:
    hall = Hall(missed="all")
    hall.now = NOON + timedelta(minutes=35)
    clockwork = hall.clockwork()
    assert clockwork.tick() == 0
    hall.now = NOON + timedelta(minutes=40)
    assert clockwork.tick() == 1


def test_a_slot_that_was_sent_by_other_code_is_sent() -> None:
    hall = Hall()
    old, new = hall.clockwork(), hall.clockwork()
    for clock in (old, new):
        clock.tick()
    hall.now = NOON + timedelta(minutes=10)
    assert old.tick() == 1
    changed = Schedule(name="report", cron="*/10 * * * *", type="report.asked", data={"what": "less"})
    hall.registry = PipelineRegistry([reports(changed)])
    late = hall.clockwork()
    late.tick()
    assert hall.sent() == ["12:10"]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC), [1, 0]),  # the night without 2:30
        ("Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC), [0, 1]),  # the night with two
        ("UTC", datetime(2026, 10, 24, 12, tzinfo=UTC), [2, 2]),
    ],
)
def test_a_nightly_slot_comes_once_a_night_whatever_the_clocks_do(zone: str, day: datetime, hours: list[int]) -> None:
    nightly = Schedule(name="nightly", cron="30 2 * * *", type="report.asked", timezone=zone)
    found = list(islice(slots(nightly, day), 2))
    assert [slot.hour for slot in found] == hours
    assert [slot.day - day.day for slot in found] == [1, 2]


def test_ten_thousand_slots_ascend_over_every_change_of_the_clock() -> None:
    often = Schedule(name="often", cron="17 * * * *", type="report.asked", timezone="America/New_York")
    found = list(islice(slots(often, NOON), 10_000))
    assert all(later - earlier == timedelta(hours=1) for earlier, later in pairwise(found))


def test_schedules_are_listed_with_their_last_and_next_slot() -> None:
    hall = Hall()
    clockwork = hall.clockwork()
    clockwork.tick()
    hall.now = NOON + timedelta(minutes=11)
    clockwork.tick()
    [found] = list_schedules(registry=hall.registry, slots=slots, events=hall.store.events)
    assert (found.pipeline, found.last, found.next) == (
        "reports", NOON + timedelta(minutes=10), NOON + timedelta(minutes=20)
    )  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [("cron", "61 * * * *"), ("cron", "* *"), ("timezone", "Moon/Crater")])
def test_what_cannot_be_read_stops_the_start_with_its_name(field: str, value: str) -> None:
    hall = Hall(**{field: value})
    with pytest.raises(Misconfigured, match="'report'"):
        require_readable(hall.registry)


def test_a_schedule_must_fit_its_pipeline() -> None:
    with pytest.raises(InvalidPipeline, match=r"does not accept 'report\.lost'"):
        Hall(type="report.lost")
    with pytest.raises(InvalidPipeline, match="does not fit"):
        reports(Schedule(name="report", cron="* * * * *", type="report.asked", data={"what": 7}))
    with pytest.raises(InvalidPipeline, match="cannot name"):
        Hall(name="Report!")
    with pytest.raises(InvalidPipeline, match="missed"):
        Hall(missed="maybe")
    twin = Schedule(name="report", cron="* * * * *", type="report.asked")
    with pytest.raises(InvalidPipeline, match="Two schedules"):
        PipelineRegistry([reports(twin, twin)])
