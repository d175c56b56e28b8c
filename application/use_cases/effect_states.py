"""The states of effects, read off the ledger and the claims; and what an operator may do about them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from application.auditor import Auditor
from application.effect_history import EffectStatus, History, histories_of
from application.ports.claims import Claims
from application.ports.context_log import ContextLog, RecordedContext
from application.ports.dispatcher import Dispatcher
from application.ports.effect_ledger import EffectLedger, Entry, NewEntry, Phase
from application.subscription import Selection
from application.use_cases.effects import EFFECTS, carrier_of, declared_by
from application.use_cases.events import is_id
from domain.errors import EffectBusy, InvalidRequest, NotFound, PermanentError
from domain.outgoing import place_of

DECLARES_CALLS: Mapping[str, Any] = {"calls": True, "generation": 0}
"""Which contexts have calls that are carried out: live ones."""
_ENDED: Mapping[EffectStatus, tuple[Phase, ...]] = {"done": ("done",), "dead": ("gave_up", "disabled")}
_MAX_OPEN = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectState:
    """An effect as an operator sees it. `target` is a URL, or addresses; `detail` what the last step says."""

    effect_id: str
    event_id: str
    context_position: int
    kind: str
    target: str
    status: EffectStatus
    attempts: int
    due_at: datetime | None
    changed_at: datetime | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectLife:
    """An effect with every step that the ledger has of it."""

    state: EffectState
    steps: Sequence[Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """What an operator's retry did: `changed` is False where the effect needs none."""

    state: EffectState
    changed: bool


def list_effects(
    status: EffectStatus | None, *, limit: int, ledger: EffectLedger, contexts: ContextLog, claims: Claims
) -> list[EffectState]:
    """Effects, the newest contexts first; those that have not ended are looked for among the claims."""
    found: list[EffectState] = []
    for kind, phases in _ENDED.items():
        if status in {None, kind}:
            found += [_ended(entry, kind) for entry in ledger.last(phases, limit=limit)]
    if status not in _ENDED:
        opened = _open_effects(limit, ledger=ledger, contexts=contexts, claims=claims)
        found += [each for each in opened if each.status == status or (status is None and each.status not in _ENDED)]
    return sorted(found, key=lambda each: (-each.context_position, each.effect_id))[:limit]


def count_effects(*, ledger: EffectLedger) -> Mapping[EffectStatus, int]:
    """How many effects are dead, and how many unknown: what an operator must look at."""
    waiting = [claim.context_position for claim in ledger.claims(EFFECTS) if not claim.leased]
    reading = _Reading.of(waiting, ledger)
    return {
        "dead": ledger.count_last(_ENDED["dead"]),
        "unknown": sum(
            reading.status(history.entries[0].context_position, effect_id) == "unknown"
            for effect_id, history in reading.histories.items()
        ),
    }


def effects_of(rows: Iterable[RecordedContext], *, ledger: EffectLedger) -> list[EffectState]:
    """The effects that contexts declare; of those that replays made, only what was begun: few are carried out."""
    return [life.state for life in lives_of(rows, ledger=ledger)]


def lives_of(rows: Iterable[RecordedContext], *, ledger: EffectLedger) -> list[EffectLife]:
    """The effects that contexts declare, as in `effects_of`, each with every step."""
    declaring = [row for row in rows if row.calls]
    replayed = [row.position for row in declaring if row.generation]
    begun = {entry.context_position for entry in ledger.of_contexts(replayed)}
    return _lives([row for row in declaring if row.generation == 0 or row.position in begun], ledger=ledger)


def get_effect(effect_id: str, *, ledger: EffectLedger, contexts: ContextLog, claims: Claims) -> EffectLife:
    """An effect and its steps.

    Raises:
        NotFound: no effect has the id.
    """
    effect_id = effect_id.lower()
    steps = ledger.of_effect(effect_id) if is_id(effect_id) else []
    if steps:
        found = effects_of(_read([steps[0].context_position], contexts), ledger=ledger)
    else:
        found = _open_effects(_MAX_OPEN, ledger=ledger, contexts=contexts, claims=claims)
    state = next((each for each in found if each.effect_id == effect_id), None)
    if state is None:
        # Nothing is written of a call before it begins, so its id leads to no event.
        hidden = len({each.context_position for each in found}) >= _MAX_OPEN
        where = f" among those of the next {_MAX_OPEN:,} events, and more wait" if hidden else ""
        found_by = "`playhead events show` lists those of an event."
        raise NotFound(f"There is no effect {effect_id[:100]!r}{where}. {found_by}")
    return EffectLife(state=state, steps=steps)


def retry_effect(
    effect_id: str,
    *,
    ledger: EffectLedger,
    contexts: ContextLog,
    claims: Claims,
    dispatcher: Dispatcher,
    auditor: Auditor,
) -> Retried:
    """Make an effect that is dead, unknown or failed due now, its attempts counted anew.

    One that is pending or done is left as it is, so that asking twice does no more than asking once.

    Raises:
        NotFound: no effect has the id.
        EffectBusy: a worker carries out effects of the same event now.
    """
    life = get_effect(effect_id, ledger=ledger, contexts=contexts, claims=claims)
    if life.state.status in {"pending", "done"}:
        return Retried(state=life.state, changed=False)
    last = life.steps[-1]
    entry = NewEntry(
        effect_id=last.effect_id,
        context_position=last.context_position,
        event_id=last.event_id,
        kind=last.kind,
        target=last.target,
        attempt=life.state.attempts,
        phase="retry",
    )
    auditor.record("effects.retry", effect_id)
    [row] = _read([last.context_position], contexts)
    if not ledger.reopen(entry, subscription=carrier_of(row.generation)):
        raise EffectBusy(
            f"A worker carries out effects of event {last.event_id} now; ask again when it is done, in some seconds."
        )
    if row.generation == 0:  # a replay's are carried out by the next run of it
        dispatcher.ring(EFFECTS)
    return Retried(state=get_effect(effect_id, ledger=ledger, contexts=contexts, claims=claims).state, changed=True)


def enable_endpoint(url: str, *, ledger: EffectLedger, auditor: Auditor) -> bool:
    """Let calls to a URL that answered 410 be sent again; False where they are sent already.

    Calls that were not sent meanwhile stay dead until each is asked for again.

    Raises:
        InvalidRequest: it is no URL that could be called.
    """
    try:
        place_of(url)
    except PermanentError as error:
        raise InvalidRequest(error.detail) from error
    auditor.record("effects.enable", url)
    return ledger.switch(url, enabled=True, reason="an operator enabled it")


def _open_effects(limit: int, *, ledger: EffectLedger, contexts: ContextLog, claims: Claims) -> list[EffectState]:
    """The effects of contexts that are claimed, or that the cursor has not reached, as far as `limit` contexts go."""
    backlog = claims.backlog([EFFECTS]).get(EFFECTS)
    if backlog is None:
        return []
    rows = _read([claim.context_position for claim in ledger.claims(EFFECTS)][-limit:], contexts)
    if backlog.cursor < backlog.head:
        rows += contexts.read(Selection(where=DECLARES_CALLS, after=backlog.cursor), limit=limit)
    return [life.state for life in _lives(rows, ledger=ledger)]


def _read(positions: Sequence[int], contexts: ContextLog) -> list[RecordedContext]:
    return contexts.read(Selection(positions=tuple(sorted(positions))), limit=len(positions)) if positions else []


@dataclass(frozen=True, slots=True)
class _Reading:
    """The histories of the effects of some contexts, and which of them are at work.

    They are read before and after the claims: what moved meanwhile is at work, whatever its claim was in between.
    """

    histories: Mapping[str, History]
    leased: frozenset[int]
    moved: frozenset[str]

    @classmethod
    def of(
        cls, positions: Sequence[int], ledger: EffectLedger, *, carriers: Collection[str] = (EFFECTS,)
    ) -> "_Reading":
        before = histories_of(ledger.of_contexts(positions))
        claims = (claim for name in carriers for claim in ledger.claims(name))
        leased = frozenset(claim.context_position for claim in claims if claim.leased)
        histories = histories_of(ledger.of_contexts(positions))
        moved = (key for key, history in histories.items() if before.get(key, History()).last != history.last)
        return cls(histories, leased, frozenset(moved))

    def status(self, position: int, effect_id: str) -> EffectStatus:
        """The state of an effect of the context at a position."""
        history = self.histories.get(effect_id, History())
        return history.status(leased=position in self.leased or effect_id in self.moved)


def _lives(rows: Sequence[RecordedContext], *, ledger: EffectLedger) -> list[EffectLife]:
    if not rows:
        return []
    carriers = {carrier_of(row.generation) for row in rows}
    reading = _Reading.of([row.position for row in rows], ledger, carriers=carriers)
    lives = []
    for declared in (each for row in rows for each in declared_by(row)):
        history = reading.histories.get(declared.effect_id, History())
        last = history.last
        state = EffectState(
            effect_id=declared.effect_id,
            event_id=declared.context.event.id,
            context_position=declared.row.position,
            kind=declared.call.kind,
            target=declared.call.target,
            status=reading.status(declared.row.position, declared.effect_id),
            attempts=history.attempts,
            due_at=history.due_at,
            changed_at=last.recorded_at if last else None,
            detail=last.detail if last else {},
        )
        lives.append(EffectLife(state=state, steps=history.entries))
    return lives


def _ended(entry: Entry, status: EffectStatus) -> EffectState:
    return EffectState(
        effect_id=entry.effect_id,
        event_id=entry.event_id,
        context_position=entry.context_position,
        kind=entry.kind,
        target=entry.target,
        status=status,
        attempts=entry.attempt,
        due_at=None,
        changed_at=entry.recorded_at,
        detail=entry.detail,
    )
