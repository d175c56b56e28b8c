"""The follower: no event that ends is missed, whether it ends before, while or after it is watched."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late

import pytest

from application.follower import Follower
from application.ports.claims import Completion
from application.ports.context_log import ContextStatus
from application.subscription import of_pipeline
from domain.errors import Unavailable
from infrastructure.memory.context_log import MemoryContextLog
from infrastructure.memory.store import MemoryStore
from tests.factories import NewContextFactory, NewEventFactory

SECONDS = 5.0
SOON = 0.1
ORDERS = of_pipeline("orders", batch=1)


class Reader(MemoryContextLog):
    """The contexts of a store, which count how often they are read and may be made to fail or to wait."""

    def __init__(self, contexts: MemoryContextLog) -> None:
        super().__init__(contexts._tables)
        self.reads = 0
        self.before: Callable[[str], None] = lambda _: None
        self.after: Callable[[], None] = lambda: None

    def head(self) -> int:
        self.before("head")
        return super().head()

    def ended(self, after: int, *, limit: int) -> list[tuple[int, int, ContextStatus]]:
        self.reads += 1
        self.before("ended")
        page = super().ended(after, limit=limit)
        self.after()
        return page


@pytest.fixture
def store() -> MemoryStore:
    """Five events, and nothing has ended."""
    store = MemoryStore()
    store.claims.register([ORDERS])
    store.events.append(NewEventFactory.build_batch(5))
    return store


@pytest.fixture
def reader(store: MemoryStore) -> Reader:
    return Reader(store.contexts)


@pytest.fixture
def follower(reader: Reader) -> Iterator[Follower]:
    follower = Follower(reader)
    yield follower
    reader.before = lambda _: None
    follower.stop()


def end(store: MemoryStore, status: ContextStatus = "completed", generation: int = 0) -> None:
    """The next event gets a context."""
    claim = store.claims.take(ORDERS, owner="w")
    assert claim is not None
    context = NewContextFactory(event_position=claim.first, status=status, generation=generation)
    assert store.claims.complete(claim, Completion(contexts=[context]))


def is_told(watched: "Future[None]", seconds: float = SECONDS) -> bool:
    try:
        watched.result(seconds)
    except Late:
        return False
    return True


@pytest.mark.parametrize("status", ["completed", "dead", "discarded"])
def test_an_event_that_ends_after_it_is_watched_is_told(store: MemoryStore, follower: Follower, status: ContextStatus):
    watched, other = follower.watch(1), follower.watch(2)
    end(store, status)

    assert is_told(watched)
    assert not other.done()


def test_an_attempt_that_is_tried_again_is_no_end(store: MemoryStore, follower: Follower):
    watched = follower.watch(1)
    end(store, "failed")

    assert not is_told(watched, SOON)


def test_a_replay_is_no_end(store: MemoryStore, follower: Follower):
    watched = follower.watch(1)
    end(store, generation=7)

    assert not is_told(watched, SOON)


def test_an_event_that_ended_before_is_for_its_state_to_tell(store: MemoryStore, follower: Follower):
    end(store)
    watched = follower.watch(1)

    assert not is_told(watched, SOON)


def test_an_event_that_ends_while_it_begins_to_be_watched_is_told(
    store: MemoryStore, reader: Reader, follower: Follower
):
    """It ends after the head was read and before the watch is registered."""
    read = reader.head

    def read_and_end() -> int:
        head = read()
        end(store)
        return head

    reader.head = read_and_end  # type: ignore[method-assign]
    assert is_told(follower.watch(1))


def test_an_event_that_ends_while_others_are_told_is_told(store: MemoryStore, reader: Reader, follower: Follower):
    """The follower has read a page; the event is watched and ends before the page is passed on."""
    late: list[Future[None]] = []

    def in_between() -> None:
        if not late and store.contexts.head() == 1:
            late.append(follower.watch(2))
            end(store)

    reader.after = in_between
    first = follower.watch(1)
    end(store)

    assert is_told(first)
    assert is_told(late[0])


def test_nobody_is_missed_when_watches_and_ends_race(follower: Follower, store: MemoryStore):
    store.events.append(NewEventFactory.build_batch(295))
    told: list[bool] = []

    def wait_for(position: int) -> None:
        watched = follower.watch(position)
        event = store.events.read(ORDERS.selection, limit=300)[position - 1]
        ended = store.states.of([event])[0].status == "succeeded"
        told.append(ended or is_told(watched))
        follower.forget(position, watched)

    waiters = [threading.Thread(target=wait_for, args=(position,)) for position in range(1, 301)]
    ender = threading.Thread(target=lambda: [end(store) for _ in range(300)])
    for thread in [*waiters[:100], ender, *waiters[100:]]:
        thread.start()
    for thread in [*waiters, ender]:
        thread.join(30)

    assert told == [True] * 300


def test_two_that_watch_one_event_are_both_told_and_one_that_left_is_not(store: MemoryStore, follower: Follower):
    stays, leaves, also_stays = (follower.watch(1) for _ in range(3))
    follower.forget(1, leaves)
    end(store)

    assert is_told(stays)
    assert is_told(also_stays)
    assert not leaves.done()
    follower.forget(1, stays)


def test_nothing_is_read_while_nobody_waits(store: MemoryStore, reader: Reader, follower: Follower):
    follower.forget(1, follower.watch(1))
    time.sleep(SOON)
    reads = reader.reads
    time.sleep(SOON)

    assert reader.reads == reads
    watched = follower.watch(1)
    end(store)
    assert is_told(watched)


@pytest.mark.parametrize("error", [Unavailable("gone"), RuntimeError("odd")])
def test_a_database_that_is_away_is_followed_again_when_it_is_back(
    store: MemoryStore, reader: Reader, follower: Follower, error: Exception
):
    def away(what: str) -> None:
        if what == "ended":
            raise error

    reader.before = away
    watched = follower.watch(1)
    end(store)
    assert not is_told(watched, SOON)

    reader.before = lambda _: None
    assert is_told(watched)


def test_a_watch_raises_when_the_database_is_away(reader: Reader, follower: Follower):
    def away(_: str) -> None:
        raise Unavailable("gone")

    reader.before = away
    with pytest.raises(Unavailable):
        follower.watch(1)


def test_leaving_never_waits_for_the_database(reader: Reader, follower: Follower):
    """`forget` is called on the event loop: it must not stand behind another's question to a database that hangs."""
    watched = follower.watch(1)
    hangs, release = threading.Event(), threading.Event()

    def hang(_: str) -> None:
        hangs.set()
        release.wait(SECONDS)

    reader.before = hang
    other = threading.Thread(target=follower.watch, args=(2,))
    other.start()
    assert hangs.wait(SECONDS)
    leaving = threading.Thread(target=follower.forget, args=(1, watched))
    leaving.start()
    leaving.join(1)
    left = not leaving.is_alive()
    release.set()
    other.join(SECONDS)

    assert left


def test_the_stop_ends_the_thread(follower: Follower):
    follower.watch(1)
    follower.stop()

    assert not any(thread.name == "follower" for thread in threading.enumerate())
