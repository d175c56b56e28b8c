"""MemoryTables: the rows that the memory adapters share, behind one lock and one clock."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import RLock
from typing import Any
from uuid import uuid4

from msgspec.structs import asdict

from application.ports.api_keys import ApiKey
from application.ports.audit import AuditEntry
from application.ports.context_log import NewContext, RecordedContext
from application.ports.effect_ledger import Entry
from application.ports.promotions import LIVE, View
from application.ports.replays import DecisionKind, Replay
from application.subscription import Lane, Log, Selection
from domain.events import RecordedEvent
from domain.fingerprints import PipelineCode
from domain.seals import Restore, Seal


def system_clock() -> datetime:
    """The time of this machine, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event as it is stored. A `direct` one has its own claim: cursors pass over it."""

    event: RecordedEvent
    body_digest: str | None
    direct: bool

    @property
    def position(self) -> int:
        """The event's position."""
        return self.event.position

    def fits(self, selection: Selection) -> bool:
        """Whether a selection has this event."""
        return selection.has({"direct": self.direct, **asdict(self.event)})


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextRow:
    """A context as it is stored."""

    context: RecordedContext

    @property
    def position(self) -> int:
        """The context's position."""
        return self.context.position

    def fits(self, selection: Selection) -> bool:
        """Whether a selection has this context."""
        return selection.has({name: getattr(self.context, name) for name in RecordedContext.__struct_fields__})


@dataclass(slots=True, kw_only=True)
class ClaimRow:
    """Work in progress. While `owner` holds it, `available_at` is the end of the lease, else when it comes due."""

    id: int
    subscription: str
    first: int
    last: int
    available_at: datetime
    attempt: int = 0
    deaths: int = 0
    fence: int = 0
    owner: str | None = None
    progress: Mapping[str, Any] | None = None

    def is_leased(self, now: datetime) -> bool:
        """Whether somebody holds it."""
        return self.owner is not None and self.available_at > now


@dataclass(slots=True, kw_only=True)
class Cursor:
    """A subscription's row: how far it is in its log, how many claims it ever took, what operators decided."""

    log: Log
    position: int
    route: str | None = None
    lane: Lane | None = None
    takings: int = 0
    paused: bool = False
    held: int | None = None

    @property
    def selection(self) -> Selection:
        """The events of its pipeline that claims on ranges have."""
        return Selection(where={"route": self.route, "direct": False}, lane=self.lane)

    def has_lane_of(self, event: RecordedEvent) -> bool:
        """Whether an event is in its lane."""
        return self.lane is None or event.lane % self.lane.of == self.lane.number


@dataclass(slots=True, kw_only=True)
class MemoryTables:
    """Every table of a store. Whoever reads or writes holds `lock`; `clock` is the only time there is."""

    clock: Callable[[], datetime] = system_clock
    lock: RLock = field(default_factory=RLock)
    events: list[EventRow] = field(default_factory=list)
    contexts: list[ContextRow] = field(default_factory=list)
    cursors: dict[str, Cursor] = field(default_factory=dict)
    claims: dict[int, ClaimRow] = field(default_factory=dict)
    claims_made: int = 0
    replays: list[Replay] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    replay_decisions: dict[int, dict[DecisionKind, str]] = field(default_factory=dict)
    codes: dict[str, PipelineCode] = field(default_factory=dict)
    effect_steps: list[Entry] = field(default_factory=list)
    disabled_endpoints: set[str] = field(default_factory=set)
    seals: list[Seal] = field(default_factory=list)
    log_ids: dict[Log, str] = field(default_factory=lambda: {"events": str(uuid4()), "task_contexts": str(uuid4())})
    restores: list[Restore] = field(default_factory=list)
    api_keys: list[ApiKey] = field(default_factory=list)
    audit: list[AuditEntry] = field(default_factory=list)

    def make_claim(self, subscription: str, first: int, last: int, **columns: Any) -> ClaimRow:
        """Add a claim under an id that was never used; a subscription has one for each first position."""
        taken = any((row.subscription, row.first) == (subscription, first) for row in self.claims.values())
        assert not taken, f"{subscription!r} has a claim that begins at {first} already"
        self.claims_made += 1
        row = ClaimRow(id=self.claims_made, subscription=subscription, first=first, last=last, **columns)
        self.claims[row.id] = row
        return row

    @property
    def view(self) -> View:
        """From which generations results are read."""
        return self.views[-1] if self.views else View()

    def deciding_context(
        self,
        event_position: int,
        view: View = View(),  # noqa: B008  # it is frozen
        last: int | None = None,
    ) -> RecordedContext | None:
        """The completed context of an event in the view, else its last live one; of those up to position `last`."""
        rows = self.contexts if last is None else self.contexts[:last]
        contexts = [row.context for row in rows if row.context.event_position == event_position]
        completed = [each for each in contexts if each.status == "completed" and each.generation in view.ranks]
        live = [each for each in contexts if each.generation == LIVE]
        return max(completed, key=lambda each: view.ranks[each.generation], default=live[-1] if live else None)

    def append_contexts(self, contexts: Iterable[NewContext]) -> None:
        """Add contexts at the next positions."""
        for position, context in enumerate(contexts, len(self.contexts) + 1):
            members = {name: getattr(context, name) for name in NewContext.__struct_fields__}
            self.contexts.append(
                ContextRow(context=RecordedContext(position=position, recorded_at=self.clock(), **members))
            )

    def claim_over(self, row: EventRow) -> ClaimRow | None:
        """The claim of a pipeline that stands for an event: on it alone, or on a range of what the cursor passed."""
        for claim in self.claims.values():
            cursor = self.cursors.get(claim.subscription)
            if cursor is None or cursor.route is None or not claim.first <= row.position <= claim.last:
                continue
            if claim.first == claim.last or row.fits(cursor.selection):
                return claim
        return None

    def rows(self, log: Log) -> list[EventRow] | list[ContextRow]:
        """The rows of a log, by ascending position."""
        return self.events if log == "events" else self.contexts

    def positions(self, log: Log, selection: Selection, *, after: int, last: int | None = None) -> list[int]:
        """The selected positions of a log past one, up to a last one."""
        rows = (row for row in self.rows(log) if row.fits(selection))
        return [row.position for row in rows if after < row.position and (last is None or row.position <= last)]
