"""The appender: requests that come at the same time share one durable commit, and each gets its own answer."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait

import pytest

from application.appender import MAX_WAITING, Appender
from application.ports.event_log import Verdict
from domain.errors import InvalidEvent, KeyReused, Overloaded, TooLarge, Unavailable
from tests.factories import NewEventFactory
from tests.unit.appender_fakes import SECONDS, Bell, Gate, Notes, bad, verdicts


@pytest.fixture
def log() -> Gate:
    return Gate()


@pytest.fixture
def bell(log: Gate) -> Bell:
    return Bell(log)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def appender(log: Gate, bell: Bell, notes: Notes) -> Iterator[Appender]:
    appender = Appender(log, bell, notes, lambda event: event.route)
    yield appender
    log.open.set()
    appender.stop()


def hold(appender: Appender, log: Gate) -> "Future[list[Verdict]]":
    """Have the appender stand in the middle of a commit of one event."""
    answer = appender.submit([NewEventFactory()])
    assert log.entered.acquire(timeout=SECONDS)
    return answer


def test_what_comes_during_a_commit_shares_the_next(appender: Appender, log: Gate):
    first = hold(appender, log)
    answers = [appender.submit(NewEventFactory.build_batch(count)) for count in (1, 3, 2)]
    assert not any(answer.done() for answer in [first, *answers])
    log.open.set()

    positions = [[verdict.position for verdict in verdicts(answer)] for answer in [first, *answers]]
    assert positions == [[1], [2], [3, 4, 5], [6, 7]]
    assert log.commits == [(1, False), (6, False)]


def test_nothing_to_append_is_answered_at_once_and_makes_no_commit(appender: Appender, log: Gate):
    assert appender.submit([]).result(0) == []
    assert appender.submit([], atomic=True).result(0) == []
    assert log.commits == []


def test_a_batch_of_over_500_is_several_commits_answered_once(appender: Appender, log: Gate):
    first = hold(appender, log)
    large, small = appender.submit(NewEventFactory.build_batch(1201)), appender.submit([NewEventFactory()])
    log.open.set()

    assert len(verdicts(first)) == 1
    assert [verdict.position for verdict in verdicts(large)] == list(range(2, 1203))
    assert [verdict.position for verdict in verdicts(small)] == [1203]
    assert log.commits == [(1, False), (500, False), (500, False), (202, False)]


def test_an_atomic_batch_is_one_commit_of_its_own_in_its_turn(appender: Appender, log: Gate):
    hold(appender, log)
    before = appender.submit([NewEventFactory()])
    atomic = appender.submit(NewEventFactory.build_batch(1000), atomic=True)
    after = [appender.submit([NewEventFactory()]) for _ in range(2)]
    log.open.set()

    wait([before, atomic, *after], SECONDS)
    assert log.commits == [(1, False), (1, False), (1000, True), (2, False)]
    assert [verdict.position for verdict in verdicts(atomic)] == list(range(3, 1003))


def test_an_atomic_batch_of_over_a_thousand_is_too_large(appender: Appender, log: Gate):
    with pytest.raises(TooLarge, match="1001"):
        appender.submit(NewEventFactory.build_batch(1001), atomic=True)


def test_each_request_gets_the_verdicts_on_its_own_events(appender: Appender, log: Gate):
    hold(appender, log)
    one = appender.submit([NewEventFactory(key="k", data="1", subject="s"), NewEventFactory()])
    two = appender.submit([NewEventFactory(key="k", data="1", subject="s"), NewEventFactory(key="k", data="2")])
    log.open.set()

    [first, other], [repeat, refused] = verdicts(one), verdicts(two)
    assert (first.position, other.position) == (2, 3)
    assert (repeat.event_id, repeat.repeated) == (first.event_id, True)
    assert isinstance(refused.refusal, KeyReused)


def test_an_event_that_the_database_refuses_does_not_fail_its_neighbours(appender: Appender, log: Gate, notes: Notes):
    error = ValueError("no such number\n[SQL: INSERT …]")
    log.refuse = bad("bad", error)
    hold(appender, log)
    answers = [appender.submit([NewEventFactory(data=data)]) for data in ("1", "bad", "2")]
    log.open.set()

    good, refused, also_good = (verdicts(answer)[0] for answer in answers)
    assert (good.position, also_good.position) == (2, 3)
    assert isinstance(refused.refusal, InvalidEvent)
    assert refused.refusal.detail == "The database refuses this event: no such number"
    assert notes.failures == [("append", error)]


def test_an_event_that_the_database_refuses_alone_gets_the_same_answer(appender: Appender, log: Gate):
    log.refuse = bad("bad", ValueError("no such number"))
    log.open.set()

    [refused] = verdicts(appender.submit([NewEventFactory(data="bad")]))
    assert isinstance(refused.refusal, InvalidEvent)
    assert [verdict.position for verdict in verdicts(appender.submit([NewEventFactory()]))] == [1]


def test_an_atomic_batch_that_the_database_refuses_is_refused_whole(appender: Appender, log: Gate):
    log.refuse = bad("bad", ValueError("no such number"))
    log.open.set()

    refused = verdicts(appender.submit([NewEventFactory(), NewEventFactory(data="bad")], atomic=True))
    assert [type(verdict.refusal) for verdict in refused] == [InvalidEvent, InvalidEvent]
    assert log.head() == 0


def test_a_database_that_is_away_is_told_to_every_waiter_and_found_again_when_it_is_back(
    appender: Appender, log: Gate, bell: Bell
):
    log.refuse = bad("away", Unavailable("gone"))
    hold(appender, log)
    answers = [appender.submit([NewEventFactory(data=data)]) for data in ("1", "away", "2")]
    log.open.set()

    for answer in answers:
        with pytest.raises(Unavailable, match="gone"):
            verdicts(answer)
    assert [verdict.position for verdict in verdicts(appender.submit([NewEventFactory()]))] == [2]


def test_a_large_batch_that_is_cut_off_by_the_database_is_unavailable_and_leaves_the_queue(
    appender: Appender, log: Gate
):
    log.refuse = bad("away", Unavailable("gone"))
    hold(appender, log)
    large = appender.submit([*NewEventFactory.build_batch(600), NewEventFactory(data="away")])
    small = appender.submit([NewEventFactory()])
    behind = [appender.submit(NewEventFactory.build_batch(400)) for _ in range(2)]
    log.open.set()

    with pytest.raises(Unavailable):
        verdicts(large)
    # These two shared the commit that failed; the last went on in the next one.
    assert [answer.exception(SECONDS) is None for answer in (small, *behind)] == [False, False, True]
    assert log.head() == 1 + 500 + 400


def test_the_bell_rings_once_a_route_after_the_commit(appender: Appender, log: Gate, bell: Bell):
    log.open.set()
    orders = NewEventFactory.build_batch(3)
    bills = NewEventFactory.build_batch(2, route="bills")
    verdicts(appender.submit([*orders, *bills, NewEventFactory(route=None)]))
    appender.stop()

    assert sorted(bell.rings) == sorted([("orders", orders[-1].id), ("bills", bills[-1].id)])
    assert bell.heads == [6, 6]


def test_repeats_and_refusals_ring_nobody(appender: Appender, log: Gate, bell: Bell):
    log.open.set()
    first = NewEventFactory(key="k")
    verdicts(appender.submit([first]))
    verdicts(appender.submit([NewEventFactory(key="k", data=first.data, subject=first.subject)]))
    verdicts(appender.submit([NewEventFactory(key="k", data="other")]))
    verdicts(appender.submit([NewEventFactory(), NewEventFactory(key="k", data="other")], atomic=True))
    appender.stop()

    assert bell.rings == [("orders", first.id)]


def test_a_client_that_left_takes_nobody_with_it(appender: Appender, log: Gate):
    hold(appender, log)
    left, stayed = appender.submit([NewEventFactory()]), appender.submit([NewEventFactory()])
    assert left.cancel()
    log.open.set()

    assert [verdict.position for verdict in verdicts(stayed)] == [3]


def test_what_waits_is_committed_at_the_stop_and_no_more_is_taken(appender: Appender, log: Gate):
    first = hold(appender, log)
    waiting = appender.submit(NewEventFactory.build_batch(700))
    stopping = threading.Thread(target=appender.stop)
    stopping.start()
    stopping.join(0.05)
    with pytest.raises(Unavailable, match="stops"):
        appender.submit([NewEventFactory()])
    log.open.set()
    stopping.join(SECONDS)

    assert (len(verdicts(first)), len(verdicts(waiting)), log.head()) == (1, 700, 701)


def test_more_than_may_wait_is_refused_until_there_is_room(appender: Appender, log: Gate):
    hold(appender, log)
    log.refuse = bad("away", Unavailable("gone"))
    waiting = appender.submit([NewEventFactory(data="away")] * MAX_WAITING)
    with pytest.raises(Overloaded, match="Too many"):
        appender.submit([NewEventFactory()])
    log.open.set()

    assert isinstance(waiting.exception(SECONDS), Unavailable)
    assert [verdict.position for verdict in verdicts(appender.submit([NewEventFactory()]))] == [2]
