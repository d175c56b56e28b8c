"""Feed: the log of events, followed by many readers and read once for all that keep up; one a process."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace

from msgspec.structs import asdict

from application.ports.event_log import EventLog
from application.subscription import Selection
from domain.errors import InvalidRequest, Overloaded
from domain.events import RecordedEvent

POLL_SECONDS = 0.1
RECENT = 1_000
"""Events that are kept at hand for those who keep up, together with at most so much of their data:"""
RECENT_BYTES = 16 << 20
PAGE = 32
"""Events that a reader is given at once; so many it holds in memory, however slow it is."""
_LOOK = 100
_RETRY_AFTER = 5.0


@dataclass(frozen=True, slots=True)
class Page:
    """Selected events in order; `position` is how far the log was looked through for them."""

    events: Sequence[RecordedEvent]
    position: int


class Feed:
    """Tells readers that the log has grown, and gives them what they select.

    While anybody reads, one thread looks for new events and keeps the last ones. Who falls behind these reads the log,
    at its own pace.
    """

    def __init__(self, events: EventLog, *, limit: int, poll: float = POLL_SECONDS) -> None:
        """At most `limit` readers are let in at a time."""
        self._events = events
        self._limit = limit
        self._poll = poll
        self._readers = 0
        self._head = 0
        self._recent: list[RecordedEvent] = []
        self._waiting: list[tuple[int, Future[None]]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether readers are to leave."""
        return self._closed

    def join(self, after: int | None) -> int:
        """Let a reader in, until it leaves; the position that it reads on from: the head, where it names none.

        Raises:
            Overloaded: as many read as may.
            InvalidRequest: the log does not reach that position, as after a restore.
            Unavailable: the database cannot be reached.
        """
        head = self._events.head()
        if after is not None and after > head:
            raise InvalidRequest(f"There is no position {after}: the log ends at {head}. Was an older state restored?")
        with self._changed:
            if self._closed or self._readers >= self._limit:
                told = "This service is stopping" if self._closed else f"{self._limit} streams are open, as many as may"
                raise Overloaded(f"{told}; try again.", retry_after=_RETRY_AFTER)
            if self._readers == 0:
                self._head, self._recent = head, []
            self._readers += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
                self._thread.start()
            self._changed.notify()
        return head if after is None else after

    def leave(self) -> None:
        """A reader has gone."""
        with self._changed:
            self._readers -= 1
            if not self._readers:
                self._recent = []

    def recent(self, selection: Selection) -> Page | None:
        """The next selected events past `selection.after`, where they are at hand; None where the log is to be read."""
        with self._changed:
            head, recent = self._head, self._recent
        if selection.after >= head:
            return Page((), selection.after)
        if not recent or recent[0].position > selection.after + 1:
            return None
        found: list[RecordedEvent] = []
        for event in recent[selection.after + 1 - recent[0].position :]:
            if selection.has(asdict(event)):
                found.append(event)
                if len(found) == PAGE:
                    return Page(found, event.position)
        return Page(found, recent[-1].position)

    def read(self, selection: Selection) -> Page:
        """The next selected events past `selection.after`, from the log.

        Raises:
            Unavailable: the database cannot be reached.
        """
        with self._changed:
            head = self._head
        found = self._events.read(replace(selection, last=head), limit=PAGE)
        return Page(found, found[-1].position if len(found) == PAGE else max(head, selection.after))

    def beyond(self, position: int) -> "Future[None]":
        """A future that is done when the log has grown past a position, or the readers are to leave."""
        watched: Future[None] = Future()
        with self._changed:
            if self._closed or self._head > position:
                watched.set_result(None)
            else:
                # Those that were given up are let go.
                self._waiting = [(at, other) for at, other in self._waiting if not other.cancelled()]
                self._waiting.append((position, watched))
        return watched

    def close(self) -> None:
        """Let nobody in any more, and tell all that read to leave."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = self._waiting, []
            self._changed.notify()
        _tell(waiting)
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._readers > 0 or self._closed)
                if self._closed:
                    return
            # When the database is away, or fails in any other way, readers wait on.
            with suppress(Exception):
                self._look()
            with self._changed:
                self._changed.wait_for(lambda: self._closed, timeout=self._poll)

    def _look(self) -> None:
        head = self._head
        while fresh := self._events.read(Selection(after=head), limit=_LOOK):
            with self._changed:
                if self._head != head:
                    return  # the last reader left and another came meanwhile: it begins anew
                self._recent = _last(self._recent + fresh)
                self._head = head = fresh[-1].position
                told = [each for each in self._waiting if each[0] < head]
                self._waiting = [each for each in self._waiting if each[0] >= head]
            _tell(told)


def _last(events: list[RecordedEvent]) -> list[RecordedEvent]:
    """The last of these, as many as are kept."""
    size = 0
    for kept, event in enumerate(reversed(events)):
        size += len(event.data)
        if kept == RECENT or size > RECENT_BYTES:
            return events[len(events) - kept :]
    return events


def _tell(waiting: Sequence[tuple[int, "Future[None]"]]) -> None:
    for _, watched in waiting:
        if watched.set_running_or_notify_cancel():
            watched.set_result(None)
