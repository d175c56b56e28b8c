"""The oracle: looks at every call through a port as it happens, and at the tables behind it, and says what is wrong.

It knows what nobody in the simulation knows: the true time, and what each lease was given for.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from application.ports.claims import Claim, Completion
from application.subscription import Selection, Subscription
from domain.events import RecordedEvent
from infrastructure.memory.store import MemoryStore
from infrastructure.memory.tables import MemoryTables
from tests.reliability.invariants import ENDS
from tests.reliability.simulator.loop import Loop

MAX_LOSSES = 3
"""How often an event's workers may be lost before it may be dead for that."""

MAX_STREAK = 5
"""How often in a row one kind of work may be taken while the other waits."""


@dataclass(slots=True)
class Lease:
    """What was given to one taker, and until when."""

    holder: str
    subscription: Subscription
    positions: frozenset[int]
    until: float


class Oracle:
    """Checks each step. What it finds stands in `wrong`."""

    def __init__(self, loop: Loop, store: MemoryStore, tables: MemoryTables) -> None:
        self.wrong: list[str] = []
        self.losses: Counter[tuple[str, int]] = Counter()
        self._loop = loop
        self._store = store
        self._tables = tables
        self._leases: dict[tuple[int, int], Lease] = {}
        self._taken: dict[tuple[int, int], None] = {}
        self._cursors: dict[str, int] = {}
        self._turns: dict[str, tuple[str, int]] = {}
        self._takers: dict[tuple[str, str], None] = {}
        self._ended: dict[int, str] = {}

    def call(self, holder: str, port: str, method: str, call: Callable[[], Any], arguments: Sequence[Any]) -> Any:
        """Carry out a call and judge what it did."""
        if port != "claims":
            return call()
        watch = getattr(self, f"_watch_{method}", None)
        result = call() if watch is None else watch(holder, call, *arguments)
        for name, cursor in self._tables.cursors.items():
            if cursor.position < self._cursors.get(name, 0) and method != "rewind":
                self._say(f"the cursor of {name} moved back from {self._cursors[name]} to {cursor.position}")
            self._cursors[name] = cursor.position
        return result

    def excused(self, event: RecordedEvent, generation: int) -> bool:
        """Whether the workers of an event were lost so often that it may be dead for that."""
        name = f"replay-{generation}" if generation else event.route
        return self.losses[str(name), event.position] >= MAX_LOSSES

    def _say(self, what: str) -> None:
        self.wrong.append(f"at {self._loop.now:.3f} s: {what}")

    def _watch_take(self, holder: str, call: Callable[[], Claim | None], subscription: Subscription) -> Claim | None:
        waiting = self._kinds_of_work(subscription)
        cursor = self._tables.cursors[subscription.name].position
        claim = call()
        if claim is not None:
            self._judge_turn(holder, claim, waiting, is_new=claim.first > cursor)
            self._judge_taking(holder, subscription, claim)
            self._judge_ledger(subscription)
        return claim

    def _kinds_of_work(self, subscription: Subscription) -> int:
        """How many of the two kinds of work there are: what is due, what is new."""
        now = self._loop.time()
        rows = self._tables.claims.values()
        due = any(row.subscription == subscription.name and row.available_at <= now for row in rows)
        cursor = self._tables.cursors[subscription.name]
        new = self._tables.positions(subscription.log, subscription.selection, after=cursor.position)
        return due + bool(new)

    def _judge_turn(self, holder: str, claim: Claim, waiting: int, *, is_new: bool) -> None:
        """Where there is due work and new work, both are taken; not always in turn, for there are many takers.

        A process begins with what is due: one that is killed by each of its events takes no new one until it lives.
        """
        kind, name = "new" if is_new else "due", claim.subscription
        last, times = self._turns.pop(name, (kind, 0))
        begins = (holder, name) not in self._takers
        self._takers[holder, name] = None
        if waiting < 2 or begins:
            return
        times = times + 1 if last == kind else 1
        self._turns[name] = kind, times
        if times >= MAX_STREAK:
            self._say(f"{kind} work of {name} was taken {times} times while other work waited")

    def _judge_taking(self, holder: str, subscription: Subscription, claim: Claim) -> None:
        now = self._loop.now
        name = claim.id, claim.fence
        if name in self._taken:
            self._say(f"claim {name} was given twice under one fence")
        self._taken[name] = None
        positions = frozenset(self._covered(subscription, claim.first, claim.last))
        for other_name, lease in list(self._leases.items()):
            shared = positions & lease.positions if lease.subscription.name == subscription.name else frozenset()
            if not shared:
                continue
            if lease.until > now:
                self._say(f"{holder} took {sorted(shared)} of {subscription.name} while {lease.holder} held it")
            if len(lease.positions) == 1 and claim.first == claim.last:
                self.losses[subscription.name, claim.first] += 1
            del self._leases[other_name]
        self._leases[name] = Lease(holder, subscription, positions, now + subscription.lease)

    def _covered(self, subscription: Subscription, first: int, last: int) -> list[int]:
        if first == last:
            return [first]
        return self._tables.positions(subscription.log, subscription.selection, after=first - 1, last=last)

    def _judge_ledger(self, subscription: Subscription) -> None:
        """Behind the cursor, each event of a pipeline has ended or stands in exactly one claim."""
        if subscription.log != "events":
            return
        name, generation = subscription.name, 0
        if name.startswith("replay-"):
            generation = int(name.removeprefix("replay-"))
        ended = Counter(
            row.context.event_position
            for row in self._tables.contexts
            if row.context.generation == generation and row.context.status in ENDS
        )
        covered = Counter(
            position
            for row in self._tables.claims.values()
            if row.subscription == name
            for position in self._covered(subscription, row.first, row.last)
        )
        cursor = self._tables.cursors[name].position
        behind = self._tables.positions("events", subscription.selection, after=0, last=cursor)
        for position in {*behind, *covered}:
            if ended[position] + covered[position] != 1:
                self._say(
                    f"event {position} of {name} has {ended[position]} ends and stands in {covered[position]} claims"
                )

    def _watch_complete(self, holder: str, call: Callable[[], bool], claim: Claim, completion: Completion) -> bool:
        name = claim.id, claim.fence
        row = self._tables.claims.get(claim.id)
        held = row is not None and row.fence == claim.fence and name in self._leases
        before = len(self._tables.contexts), len(self._tables.claims)
        done = call()
        if not held and (done or before != (len(self._tables.contexts), len(self._tables.claims))):
            self._say(f"{holder} completed {name}, which it no longer held")
        lease = self._leases.pop(name, None) if done else None
        if lease is not None:
            self._judge_ledger(lease.subscription)
            self._judge_states(lease)
        return done

    def _judge_states(self, lease: Lease) -> None:
        """What has ended does not begin again."""
        if lease.subscription.log != "events":
            return
        events = self._store.events.read(Selection(positions=tuple(lease.positions)), limit=len(lease.positions))
        for event, state in zip(events, self._store.states.of(events), strict=True):
            before = self._ended.get(event.position, state.status)
            if before != state.status:
                self._say(f"event {event.position} was {before} and is {state.status}")
            if state.status in {"succeeded", "failed", "discarded"}:
                self._ended[event.position] = state.status

    def _watch_heartbeat(self, holder: str, call: Callable[[], bool], claim: Claim) -> bool:
        beaten = call()
        lease = self._leases.get((claim.id, claim.fence))
        if beaten and lease is None:
            self._say(f"{holder} beat for {claim.id}, which it no longer held")
        if beaten and lease is not None:
            lease.until = self._loop.now + lease.subscription.lease
        return beaten

    def _watch_abandon(self, _: str, call: Callable[[], None], claim: Claim) -> None:
        call()
        lease = self._leases.get((claim.id, claim.fence))
        if lease is not None:
            lease.until = self._loop.now

    def _watch_rewind(self, _: str, call: Callable[[], None], subscription: Subscription) -> None:
        call()
        self._leases = {
            name: lease for name, lease in self._leases.items() if lease.subscription.name != subscription.name
        }
        self._cursors[subscription.name] = 0


def gaps(name: str, read: Callable[[int], list[int]], report: Callable[[str], None]) -> Iterator[None]:
    """Follow a log from its beginning, a page at each step: each position is seen once, in order."""
    last = 0
    while True:
        for position in read(last):
            if position != last + 1:
                report(f"a reader of the {name} saw {position} after {last}")
            last = position
        yield
