"""Many writers at once: no position of the log is skipped or doubled, no event stored twice."""

import fcntl
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import count

import pytest

from application.ports.dispatcher import Silence
from application.subscription import Selection, of_pipeline
from application.use_cases.schedules import Clockwork
from domain.errors import Unavailable
from domain.registry import PipelineRegistry
from domain.schedule import Schedule
from infrastructure.sql.engine import open_lock
from infrastructure.sql.store import SqlStore
from tests.concurrency import at_once, rolled_back_append
from tests.factories import NewEventFactory, event_id
from tests.stores import opened
from tests.unit.orders import pipeline

ORDERS = of_pipeline("orders", batch=7)
WRITERS = 8


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[SqlStore]:
    with opened(postgres_url) as store:
        yield store


@pytest.mark.postgres
def test_a_reader_that_follows_eight_writers_skips_no_position_and_sees_none_twice(postgres: SqlStore):
    """Writers pause and roll back at random; the reader asks for what lies past the last position that it saw."""
    done = threading.Event()
    seen: list[str] = []

    def follow() -> None:
        last = 0
        while True:
            finished = done.is_set()
            batch = postgres.events.read(Selection(after=last), limit=50)
            assert [event.position for event in batch] == list(range(last + 1, last + 1 + len(batch)))
            seen.extend(event.id for event in batch)
            last += len(batch)
            if finished and not batch:
                return

    def write(number: int) -> list[str]:
        chance = random.Random(number)
        written = []
        for _ in range(15):
            if chance.random() < 0.25:
                with rolled_back_append(postgres):
                    time.sleep(chance.random() * 0.01)
            events = NewEventFactory.build_batch(chance.randint(1, 5))
            written += [verdict.event_id for verdict in postgres.events.append(events)]
            time.sleep(chance.random() * 0.01)
        return written

    with ThreadPoolExecutor(1) as reader:
        following = reader.submit(follow)
        try:
            written = [event_id for ids in at_once(WRITERS, write) for event_id in ids]
        finally:
            done.set()
        following.result(timeout=60)

    assert Counter(seen) == Counter(written)
    assert postgres.events.head() == len(written) == len(set(written))


def test_one_keyed_event_sent_by_several_at_once_is_stored_once(sql_store: SqlStore):
    def send(number: int) -> list[tuple[str | None, bool]]:
        time.sleep(random.Random(number).random() * 0.01)
        mine = [NewEventFactory(key=key, subject="s", data="{}") for key in ("a", "b", "c")]
        return [(verdict.event_id, verdict.repeated) for verdict in sql_store.events.append(mine)]

    answers = at_once(WRITERS, send)

    assert sql_store.events.head() == 3
    for answer in zip(*answers, strict=True):
        assert len({event_id for event_id, _ in answer}) == 1
        assert sum(not repeated for _, repeated in answer) == 1


def test_of_several_that_expect_one_version_at_once_one_is_taken(sql_store: SqlStore):
    def send(_: int) -> bool:
        [verdict] = sql_store.events.append([NewEventFactory(subject="s", expected_version=0)])
        return verdict.refusal is None

    assert sum(map(bool, at_once(WRITERS, send))) == 1
    assert sql_store.events.head() == 1


def test_a_writer_that_another_process_keeps_waiting_is_told_so(sqlite_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("infrastructure.sql.engine.BUSY_SECONDS", 0.3)
    with opened(sqlite_url) as store, open_lock(store.database.url.database, "writer") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="Another process"):
            store.events.append([NewEventFactory()])

        fcntl.flock(other, fcntl.LOCK_UN)
        store.events.append([NewEventFactory()])
        assert store.events.head() == 1


def test_of_several_clocks_that_tick_at_once_one_sends_each_slot(sql_store: SqlStore):
    began = sql_store.events.now().replace(microsecond=0)

    def slots(_: Schedule, after: datetime) -> Iterator[datetime]:
        """A slot each second."""
        return (after.replace(microsecond=0) + timedelta(seconds=number) for number in count(1))

    schedule = Schedule(name="often", cron="* * * * *", type="order.placed", data={"number": 1}, missed="all")
    registry = PipelineRegistry([pipeline(schedules=(schedule,))])

    def tick(number: int) -> int:
        ids = count(number * 100)
        times = iter([began, began + timedelta(seconds=29)])
        clockwork = Clockwork(
            registry=registry,
            slots=slots,
            events=sql_store.events,
            dispatcher=Silence(),
            new_id=lambda: event_id(next(ids)),
            now=lambda: next(times),
        )
        return clockwork.tick() + clockwork.tick()

    sent = at_once(6, tick)

    assert sum(sent) == sql_store.events.head() == 29
