"""Replaying: a planned replay is begun, paused, resumed, aborted; and how far it is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from application.auditor import Auditor
from application.ports.claims import Claims
from application.ports.context_log import ContextLog
from application.ports.controls import Controls
from application.ports.event_log import EventLog
from application.ports.pipeline_codes import PipelineCodes
from application.ports.replays import Replay, Replays
from application.ports.task_states import TaskStates
from application.subscription import Selection, Subscription
from application.use_cases.backlogs import FOLLOW_UPS
from application.use_cases.comparing import DryRun
from application.use_cases.effects import carrier_of
from application.use_cases.replay import get_replay, is_done, require_same_code, subscription_of
from application.use_cases.replay_plans import sample_of
from application.use_cases.replay_run import EndedEvents
from domain.errors import InvalidReplay
from domain.registry import PipelineRegistry
from domain.retry import Retry

Effects = Literal["skip", "recorded", "live"]
"""What becomes of the effects that a replay's contexts declare. `recorded` is `skip` for pure nodes."""
State = Literal["planned", "running", "paused", "aborted", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReplay:
    """Run a replay, or go on with it. `effects` None: as before, at first `skip`. `ramp`: numbers of events."""

    replay_id: int
    effects: Effects | None = None
    ramp: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a ramp: the run ends behind this many selected events, of which the last is at this position."""

    events: int
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A run that may go: what becomes of effects, and the step at which it ends; None: behind the last event."""

    replay: Replay
    effects: Effects
    step: Step | None

    @property
    def last(self) -> int | None:
        """The position behind which the run does not go."""
        return None if self.step is None else self.step.position


def begin_replay(
    command: RunReplay,
    *,
    batch: int,
    lease: float,
    replays: Replays,
    claims: Claims,
    events: EventLog,
    codes: PipelineCodes,
    registry: PipelineRegistry,
    fingerprints: Mapping[str, str],
    auditor: Auditor,
    is_dead: Callable[[str], bool],
) -> Begun:
    """Make sure that a replay may be run, decide about its effects for ever, and find the next step of the ramp.

    What processes held that `is_dead` knows to be dead is free at once.

    Raises:
        NotFound: there is no such replay.
        InvalidReplay: it was aborted, it was planned for other code, or its effects were decided otherwise.
    """
    replay = get_replay(command.replay_id, replays=replays)
    decided = replays.decided(replay.id)
    _require_not_aborted(replay, replays)
    require_same_code(replay, events=events, registry=registry, fingerprints=fingerprints)
    wanted = command.effects or cast("Effects", decided.get("effects", "skip"))
    _require_effects(replay, wanted, holds=decided.get("effects", wanted))
    auditor.record("replay.run", str(replay.id), effects=wanted)
    _require_effects(replay, wanted, holds=replays.decide(replay.id, "effects", wanted))
    codes.register(registry.codes.values())
    subscription = subscription_of(replay, batch=batch, lease=lease)
    claims.register([subscription, *(effects_of(replay, batch=batch, lease=lease) if wanted == "live" else ())])
    free_the_dead(replay, claims=claims, is_dead=is_dead)
    return Begun(
        replay=replay,
        effects=wanted,
        step=_next_step(command.ramp, replay, subscription, events=events, claims=claims),
    )


def _require_effects(replay: Replay, wanted: Effects, *, holds: str) -> None:
    if holds != wanted:
        raise InvalidReplay(
            f"Replay {replay.id} was begun with --effects {holds} and goes on with that; for {wanted} plan another."
        )


def _require_not_aborted(replay: Replay, replays: Replays) -> None:
    if "end" in replays.decided(replay.id):
        raise InvalidReplay(f"Replay {replay.id} was aborted. What it has made stays; plan another to go on.")


def _next_step(
    ramp: Sequence[int], replay: Replay, subscription: Subscription, *, events: EventLog, claims: Claims
) -> Step | None:
    """The first step that is not reached; counted in the order of the selection, so that it is the same for all."""
    for number in sorted(ramp):
        position = events.nth(subscription.selection, number) if number < replay.count else None
        if position is not None and not is_done(bounded(subscription, position), claims=claims):
            return Step(number, position)
    return None


def bounded(subscription: Subscription, last: int | None) -> Subscription:
    """A subscription that ends at a position; None: as it is."""
    if last is None:
        return subscription
    return replace(subscription, selection=replace(subscription.selection, last=last))


def effects_of(replay: Replay, *, batch: int, lease: float) -> tuple[Subscription, Subscription]:
    """The subscriptions that carry out what the contexts of a replay declare: follow-up events, and calls."""
    # What fails beyond the schedule of a call, which is the handler's, is tried again when the run goes on.
    retry = Retry(base=0.5, cap=15.0)
    asks = {"emits": True, "generation": replay.id}
    calls = {"calls": True, "generation": replay.id}
    return (
        Subscription(
            name=f"replay-{replay.id}-{FOLLOW_UPS}", log="task_contexts", selection=Selection(where=asks), batch=batch,
            lease=lease, retry=retry,
        ),
        Subscription(
            name=carrier_of(replay.id), log="task_contexts", selection=Selection(where=calls), batch=1,
            lease=lease, retry=retry,
        ),
    )  # fmt: skip


def names_of(replay: Replay, *, claims: Claims) -> list[str]:
    """The subscriptions of a replay that are registered: its own, and those of its effects where they are live."""
    name = f"replay-{replay.id}"
    return list(claims.backlog([name, f"{name}-{FOLLOW_UPS}", carrier_of(replay.id)]))


def free_the_dead(replay: Replay, *, claims: Claims, is_dead: Callable[[str], bool]) -> None:
    """End the leases of processes that are surely dead; each counts as a death, as if it had run out."""
    for owner in {owner for name in names_of(replay, claims=claims) for owner in claims.owners(name)}:
        if is_dead(owner):
            claims.end_leases(owner)


def expected_effects(
    replay: Replay, *, events: EventLog, states: TaskStates, dry_run: DryRun
) -> Mapping[str, int] | None:
    """About how many effects on the world a replay declares, by kind; None where there is no event to tell it by."""
    sample = sample_of(replay.selection, events=events, states=states, dry_run=dry_run)
    if not sample.size:
        return None
    outside = {kind: count for kind, count in sample.effects.items() if kind != "index_document"}
    return {kind: round(count / sample.size * replay.count) for kind, count in outside.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a replay is. `ended` of its events have ended, of these `dead` without a result, by kind of failure.

    `running` is one that was begun and has not ended, whether a process works it now or not. `effects` is None before
    the first run; `waiting` counts contexts whose follow-ups or calls wait to be carried out.
    """

    state: State
    ended: int
    dead: int
    failures: Sequence[tuple[str, int]]
    effects: Effects | None
    waiting: int


def replay_progress(
    replay: Replay,
    *,
    claims: Claims,
    events: EventLog,
    contexts: ContextLog,
    replays: Replays,
    ended: EndedEvents | None = None,
) -> Progress:
    """How far a replay is; `ended` where one has counted before.

    Raises:
        Unavailable: the database cannot be reached.
    """
    decided = replays.decided(replay.id)
    failures = contexts.failures(replay.id)
    backlogs = claims.backlog(names_of(replay, claims=claims))
    own = backlogs.get(f"replay-{replay.id}")
    if "end" in decided:
        state: State = "aborted"
    elif own is not None and is_done(subscription_of(replay), claims=claims):
        state = "done"
    elif own is not None and own.paused:
        state = "paused"
    else:
        state = "running" if "effects" in decided else "planned"
    counting = ended or EndedEvents(replay, claims=claims, events=events)
    return Progress(
        state=state,
        ended=counting.look(),
        dead=sum(count for _, count in failures),
        failures=failures,
        effects=cast("Effects | None", decided.get("effects")),
        waiting=sum(backlog.claims for backlog in backlogs.values() if backlog is not own),
    )


def pause_replay(
    replay_id: int,
    *,
    replays: Replays,
    claims: Claims,
    controls: Controls,
    auditor: Auditor,
) -> Replay:
    """Let processes that run a replay end their claims and wait, and those that begin wait, until it is resumed.

    Raises:
        NotFound: there is no such replay.
        InvalidReplay: it has ended.
    """
    replay = _open(replay_id, replays=replays, claims=claims)
    claims.register([subscription_of(replay)])
    auditor.record("replay.pause", str(replay_id))
    controls.pause(names_of(replay, claims=claims))
    return replay


def resume_replay(replay_id: int, *, replays: Replays, claims: Claims, controls: Controls, auditor: Auditor) -> Replay:
    """Let a paused replay go on: by the processes that wait, or by the next that is started.

    Raises:
        NotFound: there is no such replay.
        InvalidReplay: it has ended.
    """
    replay = _open(replay_id, replays=replays, claims=claims)
    auditor.record("replay.resume", str(replay_id))
    controls.resume(names_of(replay, claims=claims))
    return replay


def abort_replay(replay_id: int, *, replays: Replays, claims: Claims, controls: Controls, auditor: Auditor) -> Replay:
    """End a replay for good; what it has made stays. Aborting again changes nothing.

    Raises:
        NotFound: there is no such replay.
        InvalidReplay: it is done.
    """
    replay = get_replay(replay_id, replays=replays)
    if "end" not in replays.decided(replay_id):
        _open(replay_id, replays=replays, claims=claims)
        auditor.record("replay.abort", str(replay_id))
        replays.decide(replay_id, "end", "aborted")
    # Nothing more is claimed, also by a process that does not look meanwhile.
    controls.pause(names_of(replay, claims=claims))
    return replay


def _open(replay_id: int, *, replays: Replays, claims: Claims) -> Replay:
    """A replay that has not ended. One that carries out effects may have to do after its last event."""
    replay = get_replay(replay_id, replays=replays)
    _require_not_aborted(replay, replays)
    if is_done(subscription_of(replay), claims=claims) and replays.decided(replay_id).get("effects") != "live":
        raise InvalidReplay(f"Replay {replay_id} is done.")
    return replay
