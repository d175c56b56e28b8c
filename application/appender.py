"""Appender: requests that come at the same time share one durable commit."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from application.ports.dispatcher import Dispatcher
from application.ports.event_log import MAX_APPEND, MAX_ATOMIC, EventLog, Verdict
from application.ports.journal import Journal
from domain.errors import InvalidEvent, Overloaded, TooLarge, Unavailable
from domain.events import NewEvent

MAX_WAITING = 50_000
"""Events that may wait for a commit."""


@dataclass(slots=True)
class _Request:
    events: Sequence[NewEvent]
    atomic: bool
    answer: "Future[list[Verdict]]" = field(default_factory=Future)
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def rest(self) -> Sequence[NewEvent]:
        """The events that no commit has taken yet."""
        return self.events[len(self.verdicts) :]


class Appender:
    """One thread that commits. There is no timer: a commit starts when the thread is free, with all that waits.

    A shared commit takes at most 500 events, so a larger batch is several commits, answered once. An atomic batch is
    a commit of its own, of at most 1,000.
    """

    def __init__(
        self,
        events: EventLog,
        dispatcher: Dispatcher,
        journal: Journal,
        subscription_with: Callable[[NewEvent], str | None],
    ) -> None:
        """`subscription_with` names the subscription that is rung for an event."""
        self._events = events
        self._dispatcher = dispatcher
        self._journal = journal
        self._subscription_with = subscription_with
        self._waiting: deque[_Request] = deque()
        self._count = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def submit(self, events: Sequence[NewEvent], *, atomic: bool = False) -> "Future[list[Verdict]]":
        """Ask for events to be appended; the verdicts come after the durable commit.

        The future raises `Unavailable` when the database cannot be reached.

        Raises:
            TooLarge: an atomic batch of more than 1,000 events.
            Overloaded: too much waits already.
            Unavailable: the service stops.
        """
        if atomic and len(events) > MAX_ATOMIC:
            raise TooLarge(f"An atomic batch holds at most {MAX_ATOMIC} events; this one has {len(events)}.")
        request = _Request(events, atomic)
        if not events:
            request.answer.set_result([])
            return request.answer
        with self._changed:
            if self._stopping:
                raise Unavailable("The service stops; send the events to the next one.")
            if self._count > MAX_WAITING:
                raise Overloaded("Too many events wait for their commit; try again shortly.", retry_after=1)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="appender", daemon=True)
                self._thread.start()
            self._waiting.append(request)
            self._count += len(events)
            self._changed.notify()
        return request.answer

    def stop(self) -> None:
        """Commit what waits, and take no more."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while requests := self._next():
            events = [event for request, count in requests for event in request.rest[:count]]
            try:
                verdicts = self._append(events, atomic=requests[0][0].atomic)
            except Exception as error:  # noqa: BLE001  # every waiting request must be answered, whatever happened
                self._fail([request for request, _ in requests], error)
                continue
            self._answer(requests, verdicts)
            self._ring(events, verdicts)

    def _next(self) -> list[tuple[_Request, int]]:
        """The requests of the next commit, and how many events of each it takes. None when the service stops."""
        with self._changed:
            while not self._waiting and not self._stopping:
                self._changed.wait()
            chosen: list[tuple[_Request, int]] = []
            room = MAX_APPEND
            for request in self._waiting:
                if request.atomic and chosen:
                    break
                if request.atomic:
                    return [(request, len(request.events))]
                count = min(room, len(request.rest))
                chosen.append((request, count))
                room -= count
                if not room:
                    break
            return chosen

    def _append(self, events: Sequence[NewEvent], *, atomic: bool) -> list[Verdict]:
        try:
            return self._events.append(events, atomic=atomic)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  # a database can refuse in any way; the senders are told
            if atomic or len(events) == 1:
                self._journal.failed("append", error)
                reason = str(error).split("\n", 1)[0]  # the rest is the statement
                refusal = InvalidEvent(f"The database refuses this event: {reason}"[:500])
                return [Verdict(None, None, refusal=refusal)] * len(events)
        # One by one: the neighbours of the event that it refuses shall not suffer for it.
        return [verdict for event in events for verdict in self._append([event], atomic=False)]

    def _answer(self, requests: Sequence[tuple[_Request, int]], verdicts: Sequence[Verdict]) -> None:
        begin = 0
        for request, count in requests:
            request.verdicts.extend(verdicts[begin : begin + count])
            begin += count
        done = [request for request, _ in requests if not request.rest]
        self._forget(done)
        for request in done:
            if request.answer.set_running_or_notify_cancel():
                request.answer.set_result(request.verdicts)

    def _fail(self, requests: Sequence[_Request], error: Exception) -> None:
        self._forget(requests)
        for request in requests:
            if request.answer.set_running_or_notify_cancel():
                request.answer.set_exception(error)

    def _forget(self, requests: Sequence[_Request]) -> None:
        """Take requests off the queue: they are always its first ones."""
        with self._changed:
            for request in requests:
                self._waiting.popleft()
                self._count -= len(request.events)

    def _ring(self, events: Sequence[NewEvent], verdicts: Sequence[Verdict]) -> None:
        taken = {
            self._subscription_with(event): event.id
            for event, verdict in zip(events, verdicts, strict=True)
            if event.route is not None and verdict.refusal is None and not verdict.repeated
        }
        for subscription, event_id in taken.items():
            if subscription is not None:
                self._dispatcher.ring(subscription, event_id=event_id)
