"""The run of a replay: how fast it goes, and what makes it wait or end.

All of that is read off the database between claims, so that any number of processes may run one replay, and any of
them may die at any time.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from application.engine import Batch, Engine, Handler, Outcome
from application.ports.claims import Claims
from application.ports.context_log import ContextLog
from application.ports.event_log import EventLog
from application.ports.replays import Replay, Replays
from application.subscription import Subscription
from application.use_cases.replay import is_done
from domain.errors import InvalidRequest, Unavailable

End = Literal["done", "aborted", "failures", "stopped"]
Standing = Literal["go", "paused", "live", "done", "aborted", "failures"]
"""How a run goes on: it claims; waits, as it is paused or as live traffic goes first; or has come to an end."""

YIELD_ABOVE = 1_000
"""Live events that may wait before a replay does."""
STILL_SECONDS = 5.0
"""A live backlog of which nothing was claimed for so long is worked by nobody: no replay waits for it."""
QUIET_SECONDS = 10.0
"""For how long a run waits for calls that are to be tried again."""
PATIENCE_SECONDS = 300.0
"""How long a run waits for a database that is away."""
LEAST_ENDED = 100
"""So many events must have ended before a share of failures ends a run."""
_TURN_SECONDS = 0.5
_IDLE_SECONDS = 0.2
_WAIT_SECONDS = 0.5


class Pace:
    """How fast one process goes: at most so many events a second, smoothly; and how long it goes between looks."""

    def __init__(
        self, rate: float | None = None, *, one_by_one: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`rate` is in events a second; None: as fast as it can. `one_by_one`: it looks after each claim."""
        self._rate = rate
        self._clock = clock
        self._next = clock()
        self.turn_seconds = 0.0 if one_by_one or rate is not None else _TURN_SECONDS
        """How long it claims without a look."""

    def batch(self, most: int) -> int:
        """Events of a claim: about a second's worth, and no more than `most`."""
        return most if self._rate is None else max(1, min(most, int(self._rate)))

    def delay(self) -> float:
        """Seconds until the next claim; not above 0 where it may be made now."""
        return 0.0 if self._rate is None else self._next - self._clock()

    def counted(self, handle: Handler) -> Handler:
        """A handler whose rows count."""

        def run(batch: Batch) -> Sequence[Outcome]:
            if self._rate is not None:
                # What was lost by waiting for a claim is made up for, up to a second.
                self._next = max(self._next, self._clock() - 1.0) + len(batch.rows) / self._rate
            return handle(batch)

        return run


class Stillness:
    """For how long something has not changed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: object = None
        self._since = clock()

    def seconds(self, seen: object) -> float:
        """How long it has looked as it does now."""
        if seen != self._seen:
            self._seen, self._since = seen, self._clock()
        return self._clock() - self._since


class EndedEvents:
    """How many selected events of a replay have ended; each look counts on from the last."""

    def __init__(self, replay: Replay, *, claims: Claims, events: EventLog) -> None:
        self._replay = replay
        self._claims = claims
        self._events = events
        self._read = 0
        self._selected_read = 0

    def look(self) -> int:
        """Look now: those that the cursor has passed, without those that claims cover."""
        name = f"replay-{self._replay.id}"
        backlog = self._claims.backlog([name]).get(name)
        if backlog is None:
            return 0
        if backlog.cursor > self._read:
            self._selected_read += self._selected(self._read, backlog.cursor)
            self._read = backlog.cursor
        # Claims that were made since the cursor was read lie behind it.
        ranges = [each for each in self._claims.ranges(name) if each[0] <= self._read]
        claimed = sum(1 if first == last else self._selected(first - 1, last) for first, last in ranges)
        return self._selected_read - claimed

    def _selected(self, after: int, last: int) -> int:
        selection = self._replay.selection
        if selection.positions is not None:
            return bisect_right(selection.positions, last) - bisect_right(selection.positions, after)
        end = last if selection.last is None else min(last, selection.last)
        between = replace(selection, after=max(after, selection.after), last=end)
        return sum(self._events.count(between).values())


@dataclass(frozen=True, slots=True)
class MaxFailures:
    """More failures than this end a run: a number of events, or a percentage of those that have ended."""

    number: float
    percent: bool = False

    @classmethod
    def of(cls, text: str) -> "MaxFailures":
        """Read `N` or `N%`.

        Raises:
            InvalidRequest: it is neither.
        """
        digits = text.removesuffix("%")
        percent = text.endswith("%")
        try:
            number = float(digits) if percent else int(digits)
        except ValueError:
            number = -1
        if not 0 <= number <= (100 if percent else 2**63):
            raise InvalidRequest(f"--max-failures {text!r}: write a number of events, as 20, or a share, as 5%.")
        return cls(number, percent)

    def __str__(self) -> str:
        return f"{self.number:g}%" if self.percent else f"{self.number:,}"


def live_lag(live: Sequence[str], *, claims: Claims) -> tuple[int, object]:
    """How many events the slowest of these subscriptions is behind, and what changes whenever one is claimed of.

    Those that an operator has paused, or that a dead letter holds, are left out.
    """
    backlogs = [each for each in claims.backlog(live).values() if not each.paused and each.held is None]
    lag = max((each.head - each.cursor + each.due for each in backlogs), default=0)
    return lag, tuple(each.mark for each in backlogs)


@dataclass(kw_only=True)
class Conditions:
    """What makes a run go, wait or end, looked up between claims.

    `subscription` ends where the run does. `live` are the subscriptions that go first, while more than `yield_above`
    events wait for one of them and it is worked; `effects` those that carry out what the replay declares.
    """

    replay: Replay
    subscription: Subscription
    live: Sequence[str]
    effects: Sequence[str]
    replays: Replays
    claims: Claims
    contexts: ContextLog
    ended: EndedEvents
    max_failures: MaxFailures | None = None
    yield_above: int = YIELD_ABOVE
    clock: Callable[[], float] = time.monotonic
    lag: int = 0
    """Events that the slowest of the live subscriptions is behind, as of the last look."""
    _worked: Stillness = field(init=False)
    _tried: Stillness = field(init=False)
    _made: int | None = None

    def __post_init__(self) -> None:
        self._worked = Stillness(self.clock)
        self._tried = Stillness(self.clock)

    def look(self) -> Standing:
        """Look now.

        Raises:
            Unavailable: the database cannot be reached.
        """
        if "end" in self.replays.decided(self.replay.id):
            return "aborted"
        if self.max_failures is not None and self._has_failed(self.max_failures):
            return "failures"
        if is_done(self.subscription, claims=self.claims) and self._are_effects_done():
            return "done"
        name = self.subscription.name
        if self.claims.backlog([name])[name].paused:
            return "paused"
        return "live" if self._live_goes_first() else "go"

    def _has_failed(self, limit: MaxFailures) -> bool:
        dead = sum(count for _, count in self.contexts.failures(self.replay.id))
        if not limit.percent:
            return dead > limit.number
        ended = self.ended.look()
        return ended >= LEAST_ENDED and dead > ended * limit.number / 100

    def _are_effects_done(self) -> bool:
        """Whether all that was declared is carried out, but for what is tried again later."""
        if not self.effects:
            return True
        if self._made is None:
            self._made = self.contexts.head()
        backlogs = self.claims.backlog(self.effects).values()
        quiet = self._tried.seconds(tuple(backlog.mark for backlog in backlogs)) >= QUIET_SECONDS
        return all(
            backlog.cursor >= self._made and (not backlog.claims or (quiet and not backlog.due)) for backlog in backlogs
        )

    def _live_goes_first(self) -> bool:
        self.lag, mark = live_lag(self.live, claims=self.claims)
        # Where it stands nobody works it, and a replay takes nothing from anybody.
        stands = self._worked.seconds(mark) >= STILL_SECONDS
        return self.lag > self.yield_above and not stands


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRun:
    """What a process runs a replay with. The engine has the replay's work and no other."""

    engine: Engine
    conditions: Conditions
    pace: Pace


def run_replay(
    run: ReplayRun,
    *,
    progress: Callable[[], None] = lambda: None,
    told: Callable[[str, str], None] = lambda _standing, _detail: None,
    sleep: Callable[[float], None] = time.sleep,
    patience: float = 0.0,
) -> End:
    """Work a replay that was begun until it ends, or the engine is told to stop; which of these it was.

    Run again, it goes on where it stopped. `progress` is called now and then; `told` says, again and again, what the
    run does: `go`, or wait, as it is `paused`, as `live` events go first, as the database is `away`; with a detail. A
    database that is away is waited for, `patience` seconds at most.

    Raises:
        Unavailable: it was away for longer.
    """
    engine = run.engine
    away_since: float | None = None
    while not engine.stopping:
        try:
            wait = _go_on(run, told)
        except Unavailable as error:
            away_since = engine.clock() if away_since is None else away_since
            if engine.clock() - away_since >= patience:
                raise
            told("away", error.detail)
            sleep(_WAIT_SECONDS)
            continue
        away_since = None
        if isinstance(wait, str):
            return wait
        if wait > 0.0:
            sleep(min(wait, _WAIT_SECONDS))
        progress()
    return "stopped"


def _go_on(run: ReplayRun, told: Callable[[str, str], None]) -> float | End:
    """Work for a moment, where the conditions allow it; then how long to wait, or how the run has ended."""
    standing = run.conditions.look()
    if standing == "done" or standing == "aborted" or standing == "failures":  # noqa: PLR1714  # so that mypy sees an End
        return standing
    told(standing, f"{run.conditions.lag:,} live events wait" if standing == "live" else "")
    if standing != "go":
        return _WAIT_SECONDS
    if (delay := run.pace.delay()) > 0.0:
        return delay
    worked = sum(run.engine.turn(name, seconds=run.pace.turn_seconds) for name in run.engine.works)
    # Its last claims are leased to another process, or wait for their next attempt.
    return 0.0 if worked else _IDLE_SECONDS
