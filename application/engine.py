"""The engine: claim, run, complete, for any subscription.

`turn` is the whole of it. What is special to a subscription stands in its `Work`: how rows are loaded and handled.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Literal

from msgspec import Struct

from application.heart import Heart
from application.ports.claims import Claim, Claims, Completion, Requeue
from application.ports.context_log import NewContext
from application.ports.dispatcher import Dispatcher
from application.ports.journal import ClaimEnded, Journal
from application.ports.limits import Limits, NoLimits
from application.pulse import LocalPulse, Pulse
from application.subscription import Selection, Subscription
from domain.errors import CompletionRefused, Unavailable

TURN_SECONDS = 5.0
"""How long one ring of the bell makes a worker work."""
MAX_REST_SECONDS = 0.1
"""How long a turn that has caught up rests at the most; so much later an event of a steady stream is claimed."""
CAUGHT_UP_SECONDS = 0.1
"""After how long a turn that has caught up, and mostly rests, ends where other work is due."""
HAND_BACK_SECONDS = 5.0
"""After how long rows that this process cannot handle yet are due again."""


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of one row: a context to append, and whether the row goes back.

    `retry`: the run ended and is tried again after a backoff. `hand_back`: it cannot run here now, and nothing counts.
    `behind`: it waits for a row before it. `after`: seconds until it is due again, in place of the engine's own. With
    `holds` nothing follows this row until an operator decides about it.
    """

    position: int
    context: NewContext | None = None
    back: Literal["retry", "hand_back", "behind"] | None = None
    after: float | None = None
    holds: bool = False


@dataclass(kw_only=True)
class Batch:
    """The rows of a claim on their way through a handler, which keeps `step` and `done` up to date."""

    claim: Claim
    subscription: Subscription
    rows: Sequence[Any]
    stopping: Callable[[], bool]
    step: str = ""
    done: int = 0

    def where(self) -> str:
        """The row and the node that the handler is at."""
        row = self.rows[min(self.done, len(self.rows) - 1)]
        return f"position {row.position}, node {self.step}"

    def progress(self) -> Mapping[str, Any]:
        """How far the handler is, as a task's PROGRESS tells it."""
        return {
            "status": "processing",
            "current_step": self.step,
            "progress": round(self.done / max(1, len(self.rows)), 3),
        }


Handler = Callable[[Batch], Sequence[Outcome]]
"""Gives an outcome for each row of a batch."""
Loader = Callable[[Selection, int], Sequence[Any]]
"""Reads the selected rows, at most so many, by ascending position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A subscription and what is done with its rows.

    `begin` is called before a turn claims anything, and raises `Unavailable` when nothing could be done.
    `handle` gives an outcome for each row. It raises `TransientError` or `Unavailable` when none could be
    handled: all rows are tried again, and the turn ends.
    """

    subscription: Subscription
    load: Loader
    handle: Handler
    begin: Callable[[], None] | None = None


@dataclass(kw_only=True)
class Engine:
    """Works the subscriptions of one process. Threads may share it."""

    works: Mapping[str, Work]
    claims: Claims
    dispatcher: Dispatcher
    journal: Journal
    owner: str
    heart: Heart
    limits: Limits = field(default_factory=NoLimits)
    pulse: Pulse = field(default_factory=LocalPulse)
    rest: float = 0.0
    """A turn that has caught up rests so many times as long as its last claim took: more rows come together."""
    draw: Callable[[], float] = random.random
    clock: Callable[[], float] = time.monotonic
    _stop: threading.Event = field(default_factory=threading.Event)
    _due_first: dict[str, bool] = field(default_factory=dict)
    _owed: list[Claim] = field(default_factory=list)

    def turn(self, name: str, *, seconds: float = TURN_SECONDS) -> int:
        """Work a subscription for at most some seconds; how many claims were worked.

        A turn whose first claim leaves work behind rings before it runs, and so does the turn that this wakes, so
        that one ring wakes as many workers as there is work; a turn that ends with work left rings again. In order
        there is nothing for a second worker to do. A subscription with a limit has one claim a turn, and so has one
        that gives way while that for which it does is due: a backlog of the index keeps no event waiting. A turn that
        has caught up, and rests, lasts 0.1 s where other work is due. In the background nothing is rung, and what comes
        meanwhile is left for the next turn. A name that this process has not loaded is no work.

        Raises:
            Unavailable: the database, or what the work needs, cannot be reached.
        """
        work = self.works.get(name)
        if work is not None and work.begin is not None:
            work.begin()
        self._hand_back_owed()
        background = work is not None and work.subscription.background
        began = self.clock()
        worked, more = 0, False
        taken_at: float | None = None
        while work is not None and not self._stop.is_set():
            if worked and self._is_over(work.subscription, self.clock() - began, seconds, caught_up=not more):
                if not background:
                    self.dispatcher.ring(name)
                break
            if not more and not self._sees_work(work.subscription, taken_at):
                break
            taken_at = self.clock() if self.rest else None
            # In turn: what is due, what is new; so retries never starve new work, nor the other way round.
            due_first = not self._due_first.get(name, False)
            claim = self.claims.take(work.subscription, owner=self.owner, due_first=due_first)
            self.pulse.beat()
            if claim is None:
                break
            # Only now: a taking that failed was nobody's turn.
            self._due_first[name], more = due_first, claim.more
            if claim.more and not worked and not work.subscription.in_order and not background:
                self.dispatcher.ring(name)
            worked += 1
            try:
                done = self._work(work, claim)
            except Unavailable:
                self._owed.append(claim)
                raise
            if not done or (background and not claim.more):
                break
        return worked

    def _sees_work(self, subscription: Subscription, taken_at: float | None) -> bool:
        """Whether there is something to take; after a rest, where a claim was taken before. Idle, it locks nothing."""
        if taken_at is not None:
            self._stop.wait(min(MAX_REST_SECONDS, self.rest * (self.clock() - taken_at)))
        seen = self.claims.claimable(subscription)
        self.pulse.beat()
        return seen

    def _is_over(self, subscription: Subscription, lasted: float, seconds: float, *, caught_up: bool) -> bool:
        """Whether a turn that has worked a claim takes no other, be there work for it or not."""
        if lasted >= seconds or subscription.limit is not None:
            return True
        rests = bool(self.rest) and caught_up and lasted >= CAUGHT_UP_SECONDS
        goes_before = [
            name
            for name, work in self.works.items()
            if subscription.gives_way_to(work.subscription)
            or (rests and name != subscription.name and not work.subscription.background)
        ]
        return bool(goes_before) and any(backlog.has_due for backlog in self.claims.backlog(goes_before).values())

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Begin no further claim, and hand back the rows that have not run yet."""
        self._stop.set()

    def release(self) -> int:
        """Put back what still runs, due at once and uncounted, for a process that ends now; how many claims it was.

        Raises:
            Unavailable: the database cannot be reached.
        """
        self._stop.set()
        return self.claims.release(self.owner)

    def _hand_back_owed(self) -> None:
        """Hand back what an absence of the database cut off, so that no worker counts as dead for it."""
        while self._owed:
            claim = self._owed.pop()
            back = Requeue(first=claim.first, last=claim.last, attempt=claim.attempt, delay=0.0)
            try:
                self.claims.complete(claim, Completion(requeues=[back]))
            except Unavailable:
                self._owed.append(claim)
                raise

    def _work(self, work: Work, claim: Claim) -> bool:
        """Run and complete one claim. False when the rest of the turn would fail as this did."""
        began = self.clock()
        # All that the claim covers: another process, with larger batches, may have made it.
        rows = work.load(_rows_of(work.subscription, claim), claim.last - claim.first + 1)
        batch = Batch(claim=claim, subscription=work.subscription, rows=rows, stopping=self._stop.is_set)
        error: Exception | None = None
        try:
            with self._supervised(batch):
                outcomes = work.handle(batch)
        except Exception as raised:  # noqa: BLE001  # a handler's defect must not lose its rows, nor stop the worker
            error = raised
            outcomes = [Outcome(position=row.position, back="retry") for row in rows]
        completion = self._completion(work.subscription, claim, outcomes)
        result = self._complete(claim, completion)
        if result == "completed":
            self._ring_followers(completion.contexts)
        self.journal.claim_ended(
            ClaimEnded(
                claim=claim,
                rows=len(rows),
                seconds=self.clock() - began,
                result=result,
                contexts=completion.contexts,
                requeued=len(completion.requeues),
                error=error,
            )
        )
        return error is None

    @contextmanager
    def _supervised(self, batch: Batch) -> Iterator[None]:
        limit = batch.subscription.limit
        with ExitStack() as stack:
            stack.enter_context(self.heart.beating(batch.claim, batch.progress, limit=limit))
            if limit is not None:
                stack.enter_context(self.limits.within(limit, batch.claim, batch.where))
            yield

    def _completion(self, subscription: Subscription, claim: Claim, outcomes: Sequence[Outcome]) -> Completion:
        requeues = []
        for (back, after), run in groupby(outcomes, key=lambda outcome: (outcome.back, outcome.after)):
            if back is None:
                continue
            positions = [outcome.position for outcome in run]
            retry = back == "retry"
            delays = {"retry": self._backoff(subscription, claim), "hand_back": self._hand_back_delay(), "behind": 0.0}
            requeues.append(
                Requeue(
                    first=positions[0],
                    last=positions[-1],
                    attempt=claim.attempt + retry,
                    delay=delays[back] if after is None else after,
                )
            )
        contexts = [outcome.context for outcome in outcomes if outcome.context is not None]
        hold = next((outcome.position for outcome in outcomes if outcome.holds), None)
        return Completion(contexts=contexts, requeues=requeues, hold=hold)

    def _backoff(self, subscription: Subscription, claim: Claim) -> float:
        delay = subscription.retry.delay(claim.attempt + 1, self.draw())
        return subscription.retry.cap if delay is None else delay

    def _hand_back_delay(self) -> float:
        return 0.0 if self._stop.is_set() else HAND_BACK_SECONDS

    def _complete(self, claim: Claim, completion: Completion) -> Literal["completed", "fenced", "refused"]:
        try:
            return "completed" if self.claims.complete(claim, completion) else "fenced"
        except CompletionRefused as error:
            self.journal.completion_refused(claim, error)
            self.claims.abandon(claim)
            return "refused"

    def _ring_followers(self, contexts: Iterable[NewContext]) -> None:
        wanted = {
            work.subscription.name: work.subscription.selection.where
            for work in self.works.values()
            if work.subscription.log == "task_contexts" and not work.subscription.background
        }
        # Contexts of one claim are of few kinds, as far as subscriptions can tell.
        names = sorted({name for where in wanted.values() for name in where})
        kinds = {tuple([getattr(context, name) for name in names]) for context in contexts}
        found = [dict(zip(names, kind, strict=True)).items() for kind in kinds]
        for name, where in wanted.items():
            if any(where.items() <= kind for kind in found):
                self.dispatcher.ring(name)


def _rows_of(subscription: Subscription, claim: Claim) -> Selection:
    """What a claim covers. A claim of one row names it exactly: it may be one that cursors pass over."""
    if claim.first == claim.last:
        return Selection(positions=(claim.first,))
    return replace(subscription.selection, after=claim.first - 1, last=claim.last)
