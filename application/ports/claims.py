"""Claims: who works on which range of a log. Only the database's clock counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from application.ports.context_log import NewContext
from application.subscription import Lane, Subscription

MAX_DEATHS = 3
"""A single event whose worker died so often is not run again: it gets a context with status `dead`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to work on the selected rows from `first` to `last` (inclusive) of a subscription's log.

    `attempt` counts earlier runs that ended, `deaths` lost leases; the `fence` names this very taking. `more`
    says that the taking left work behind (it may say so in vain).
    """

    id: int
    subscription: str
    first: int
    last: int
    attempt: int
    deaths: int
    fence: int
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeue:
    """Rows that go back as one claim, due after `delay` seconds, with this count of ended runs."""

    first: int
    last: int
    attempt: int
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How much a subscription still has to do.

    `cursor` and `head` are positions of its log; `claims` counts its claims, `due` those that could be taken
    now, `claimed` the positions that they all cover. `has_due` says that work could be claimed now. `mark`
    changes whenever a claim is made or taken. `oldest_due` is when the longest waiting due claim came due.
    `route` is the pipeline whose events these are, `lane` which of its lanes. `paused` by an operator, or `held` by
    the dead letter at that position, nothing is claimed.
    """

    route: str | None = None
    lane: Lane | None = None
    paused: bool = False
    held: int | None = None
    cursor: int
    head: int
    claims: int
    due: int
    claimed: int
    has_due: bool
    mark: tuple[int, int]
    oldest_due: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What a finished run appends, and what of its range goes back.

    `hold` is the position of a dead letter that stops its subscription, which is in order, until an operator decides.
    """

    contexts: Sequence[NewContext] = ()
    requeues: Sequence[Requeue] = field(default=())
    hold: int | None = None


class Claims(Protocol):
    """The one small table of work in progress, and the cursors of the subscriptions."""

    def register(self, subscriptions: Iterable[Subscription]) -> None:
        """Make the row of each subscription that has none, its cursor at the selection's beginning.

        A pipeline's lanes replace those that it had before once all of their events have ended.

        Raises:
            Misconfigured: a pipeline has other lanes than before, and events of those have not ended yet.
        """
        ...

    def take(self, subscription: Subscription, *, owner: str, due_first: bool = True) -> Claim | None:
        """Take a claim that is due, or the next range behind the cursor; the other when the first has none.

        Due is what `available_at` has passed: an expired lease, a retry, a delayed event. Taking raises the
        fence; taking after an expired lease raises `deaths`, and splits a range into one claim an event, each
        with no deaths, of which the first is taken. The cursor never moves back and passes over what is not
        selected. In order, the lowest claim comes before all else, whether it is due or not. None when there is
        nothing to do now, `max_claims` are held, or the subscription is paused or held.
        """
        ...

    def claimable(self, subscription: Subscription) -> bool:
        """Whether `take` would find something now (it may find nothing yet, where another was quicker)."""
        ...

    def heartbeat(self, claim: Claim, *, lease: float, progress: Mapping[str, Any] | None = None) -> bool:
        """Extend the lease, counted from now, and store the progress. False when the claim is no longer held."""
        ...

    def complete(self, claim: Claim, completion: Completion) -> bool:
        """End a claim in one commit: remove it, append the contexts, put back what goes back.

        False, and nothing happens, when the fence has passed to another.

        Raises:
            CompletionRefused: the database refuses the contexts; nothing happened.
            Unavailable: the database cannot be reached; whether it committed may be unknown.
        """
        ...

    def abandon(self, claim: Claim) -> None:
        """Let the lease expire now: the next taking counts a death."""
        ...

    def release(self, owner: str) -> int:
        """Put back what an owner holds, due at once and uncounted; how many claims there were.

        Its own completions are refused from now on.
        """
        ...

    def rewind(self, subscription: Subscription) -> None:
        """Begin a subscription anew: its cursor at the selection's beginning, no claims. For a refilled index."""
        ...

    def forget(self, names: Sequence[str]) -> None:
        """Remove subscriptions and their claims, as if they had never been; whoever holds one finds it gone."""
        ...

    def end_leases(self, owner_prefix: str) -> int:
        """Let every lease of owners with this prefix expire now; how many there were."""
        ...

    def backlog(self, names: Sequence[str]) -> Mapping[str, Backlog]:
        """How much each of these subscriptions has to do, in their order; one that is not registered is left out."""
        ...

    def ranges(self, name: str) -> Sequence[tuple[int, int]]:
        """The first and the last position of each claim of a subscription, in ascending order."""
        ...

    def owners(self, name: str) -> list[str]:
        """Who holds claims of a subscription now, by name; whether they are alive is not known here."""
        ...

    def subscriptions(self) -> list[str]:
        """The names of all registered subscriptions."""
        ...
