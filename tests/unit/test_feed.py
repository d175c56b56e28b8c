"""The feed: what readers are given of the log, at hand or read, none skipped and none twice."""

import time
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from dataclasses import replace

import pytest

from application import feed as module
from application.feed import PAGE, Feed
from application.subscription import Selection
from domain.errors import InvalidRequest, Overloaded, Unavailable
from domain.events import RecordedEvent
from infrastructure.memory.event_log import MemoryEventLog
from infrastructure.memory.store import MemoryStore
from tests.factories import NewEventFactory

SECONDS = 5.0


class Log(MemoryEventLog):
    """A log that counts how often it is read, and may be away."""

    def __init__(self) -> None:
        super().__init__(MemoryStore().events._tables)
        self.reads = 0
        self.away = False

    def read(self, selection: Selection, *, limit: int) -> list[RecordedEvent]:
        self.reads += 1
        if self.away:
            raise Unavailable("away")
        return super().read(selection, limit=limit)

    def add(self, count: int, **changes: object) -> None:
        self.append(NewEventFactory.build_batch(count, **changes))


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def feed(log: Log) -> Iterator[Feed]:
    made = Feed(log, limit=2, poll=0.01)
    yield made
    made.close()


def grown(watched: "Future[None]") -> None:
    watched.result(SECONDS)


def positions(feed: Feed, selection: Selection) -> list[int]:
    """The positions of all selected events up to the head, page by page."""
    found: list[int] = []
    while True:
        page = feed.recent(selection) or feed.read(selection)
        found += [event.position for event in page.events]
        if page.position == selection.after:
            return found
        selection = replace(selection, after=page.position)


def test_a_reader_begins_at_the_head_unless_it_names_a_position(log: Log, feed: Feed):
    log.add(3)
    assert (feed.join(None), feed.join(1)) == (3, 1)


def test_a_position_that_the_log_does_not_reach_is_refused(log: Log, feed: Feed):
    log.add(1)
    with pytest.raises(InvalidRequest, match="ends at 1"):
        feed.join(2)
    assert feed.join(1) == 1


def test_no_more_readers_are_let_in_than_may_until_one_leaves(feed: Feed):
    feed.join(None)
    feed.join(None)
    with pytest.raises(Overloaded):
        feed.join(None)
    feed.leave()
    feed.join(None)


def test_readers_are_told_when_the_log_has_grown_past_their_position(log: Log, feed: Feed):
    after = feed.join(None)
    watched, later = feed.beyond(after), feed.beyond(after + 1)
    with pytest.raises(Late):
        watched.result(0.05)
    log.add(1)
    grown(watched)
    with pytest.raises(Late):
        later.result(0.05)
    log.add(1)
    grown(later)
    grown(feed.beyond(0))


def test_who_keeps_up_is_served_without_reading_the_log(log: Log, feed: Feed):
    after = feed.join(None)
    log.add(5)
    grown(feed.beyond(4))
    log.away = True

    page = feed.recent(Selection(after=after))
    assert page is not None
    assert [event.position for event in page.events] == [1, 2, 3, 4, 5]
    assert positions(feed, Selection(after=3)) == [4, 5]
    assert positions(feed, Selection(after=5)) == []


def test_the_log_is_read_once_for_all_readers(log: Log):
    many = Feed(log, limit=50, poll=0.01)
    try:
        starts = [many.join(None) for _ in range(50)]
        log.add(10)
        grown(many.beyond(9))
        before = log.reads
        for start in starts:
            assert len(positions(many, Selection(after=start))) == 10
        assert log.reads - before <= 5  # those of its thread meanwhile
    finally:
        many.close()


def test_who_falls_behind_what_is_at_hand_reads_the_log(log: Log, feed: Feed, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "RECENT", 10)
    log.add(100)
    feed.join(0)
    log.add(50)
    grown(feed.beyond(149))

    assert feed.recent(Selection(after=100)) is None
    assert len(feed.read(Selection(after=0)).events) == PAGE
    assert positions(feed, Selection(after=0)) == list(range(1, 151))
    assert len(feed._recent) == 10


def test_what_is_at_hand_is_bounded_in_bytes_as_well(log: Log, feed: Feed, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "RECENT_BYTES", 1_000)
    feed.join(None)
    log.add(20, data=f'"{"x" * 300}"')
    grown(feed.beyond(19))

    assert [event.position for event in feed._recent] == [18, 19, 20]
    assert positions(feed, Selection()) == list(range(1, 21))


def test_a_selection_is_looked_through_once_wherever_its_events_are(log: Log, feed: Feed):
    for number in range(200):
        log.add(1, type="rare" if number in {3, 150} else "common")
    feed.join(0)
    log.add(100, type="common")
    log.add(1, type="rare")
    grown(feed.beyond(300))
    rare = Selection(where={"type": "rare"})

    assert positions(feed, rare) == [4, 151, 301]
    page = feed.read(rare)
    assert page.position == 301


def test_a_log_that_is_away_is_read_again_when_it_is_back(log: Log, feed: Feed):
    after = feed.join(None)
    watched = feed.beyond(after)
    log.away = True
    log.add(1)
    with pytest.raises(Late):
        watched.result(0.1)
    log.away = False
    grown(watched)


def test_nobody_reads_the_log_while_nobody_reads_the_feed(log: Log, feed: Feed):
    feed.join(None)
    feed.leave()
    time.sleep(0.1)
    before = log.reads
    time.sleep(0.1)
    assert log.reads == before
    log.add(3)
    assert feed.join(1) == 1
    assert positions(feed, Selection(after=1)) == [2, 3]


def test_all_are_told_to_leave_when_it_closes(feed: Feed):
    after = feed.join(None)
    watched = feed.beyond(after)
    feed.close()
    grown(watched)
    grown(feed.beyond(after))
    assert feed.closed
    with pytest.raises(Overloaded):
        feed.join(None)


def test_futures_that_were_given_up_are_let_go(feed: Feed):
    after = feed.join(None)
    for _ in range(100):
        feed.beyond(after).cancel()
    assert len(feed._waiting) == 1
