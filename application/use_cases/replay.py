"""Replay: run stored events again through today's pipelines, into a generation of its own."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from application.auditor import Auditor
from application.engine import Engine
from application.ports.claims import Claims
from application.ports.context_log import ContextLog, ContextStatus
from application.ports.event_log import EventLog
from application.ports.replays import Replay, Replays
from application.subscription import Selection, Subscription
from application.use_cases.comparing import Run, pairs
from application.use_cases.events import get_event
from domain.errors import InvalidReplay, NotFound
from domain.events import RecordedEvent
from domain.registry import PipelineRegistry

MAX_IDS = 10_000
"""Events that a plan may name one by one."""
FIRST = 5
SAMPLED = 100
"""Events that a plan runs in memory."""
APPEND_SECONDS = 0.0001
"""What reading an event and appending its context cost beside its run, on two cores: docs/performance.md."""
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReplay:
    """Plan to run events again: those named, or those that fit all of the filters; `everything` says all.

    `pipeline` is the one that the events were routed to; `since` (inclusive) and `until` (exclusive) bound the
    event's time, `first` and `last` (both inclusive) its position; `listed`, as `list_positions` gives them, are the
    only ones there are.
    """

    ids: Sequence[str] = ()
    type: str | None = None
    pipeline: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    first: int | None = None
    last: int | None = None
    listed: Sequence[int] | None = None
    everything: bool = False

    @property
    def is_filter(self) -> bool:
        """Whether anything but ids narrows the selection."""
        bounds = (self.type, self.pipeline, self.since, self.until, self.first, self.last, self.listed)
        return any(bound is not None for bound in bounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A kept replay, how many events of each type it selects, and which types have no pipeline today.

    `first` are some of its events. Of the first `sampled`, run in memory, `effects` counts what they would declare, by
    kind, `failing` those whose run fails. `seconds` is how long all of it would take at that rate, in one process.
    """

    replay: Replay
    by_type: Mapping[str, int]
    without_pipeline: Sequence[str]
    first: Sequence[RecordedEvent]
    sampled: int
    effects: Mapping[str, int]
    failing: int
    seconds: float


def plan_replay(
    command: PlanReplay,
    *,
    events: EventLog,
    replays: Replays,
    registry: PipelineRegistry,
    fingerprints: Mapping[str, str],
    auditor: Auditor,
    run: Run,
    clock: Callable[[], float] = time.perf_counter,
) -> Plan:
    """Freeze a selection and the code it is meant for. Writes no context; `run` is that code, and writes none either.

    Raises:
        InvalidReplay: nothing narrows the selection and `everything` is not said, or it selects no event.
        NotFound: an id names no event.
    """
    selection = _freeze(command, events)
    by_type = events.count(selection)
    if not by_type:
        raise InvalidReplay("No event fits the selection.")
    without = [type_ for type_ in by_type if type_ not in registry.types]
    code = _code_for(by_type, registry, fingerprints)
    replay = replays.create(selection, code, sum(by_type.values()))
    # Only now has it an id; and a plan changes nothing.
    auditor.record("replay.plan", str(replay.id), count=replay.count)
    sample = events.read(selection, limit=SAMPLED)
    began = clock()
    made = [members for event in sample if (members := run(event)) is not None]
    seconds = (clock() - began) / len(sample) + APPEND_SECONDS
    return Plan(
        replay=replay,
        by_type=by_type,
        without_pipeline=without,
        first=sample[:FIRST],
        sampled=len(sample),
        effects=Counter(effect["kind"] for members in made for effect in members["effects"]),
        failing=len(sample) - len(made),
        seconds=seconds * replay.count,
    )


def _code_for(types: Iterable[str], registry: PipelineRegistry, fingerprints: Mapping[str, str]) -> Mapping[str, str]:
    """The fingerprint of each pipeline that runs events of these types today, by name."""
    used = {registry.pipeline_for(type_).name for type_ in types if type_ in registry.types}
    return {name: fingerprints[name] for name in sorted(used)}


def _freeze(command: PlanReplay, events: EventLog) -> Selection:
    if command.ids:
        if command.is_filter or command.everything:
            raise InvalidReplay("Name events by id, or filter them; not both.")
        if len(command.ids) > MAX_IDS:
            raise InvalidReplay(f"At most {MAX_IDS} events may be named by id; use a filter.")
        return Selection(
            positions=tuple(sorted({get_event(event_id, events=events).position for event_id in command.ids}))
        )
    if not command.is_filter and not command.everything:
        raise InvalidReplay("The filter is empty. Name events or filter them; to mean every event, say so: --all.")
    if command.is_filter and command.everything:
        raise InvalidReplay("Every event is meant, and a filter narrows it: say one of them.")
    head = events.head()
    where = {"type": command.type, "route": command.pipeline}
    selection = Selection(
        where={name: value for name, value in where.items() if value is not None},
        since=command.since,
        until=command.until,
        after=max(0, (command.first or 1) - 1),
        last=head if command.last is None else min(command.last, head),
        positions=None if command.listed is None else tuple(command.listed),
    )
    if command.listed is None:
        return selection
    return Selection(positions=tuple(event.position for event in events.stream(selection)))


def get_replay(replay_id: int, *, replays: Replays) -> Replay:
    """The replay of this id.

    Raises:
        NotFound: there is none.
    """
    replay = replays.get(replay_id)
    if replay is None:
        raise NotFound(f"There is no replay {replay_id}. `playhead replay plan` makes one.")
    return replay


def subscription_of(replay: Replay, *, batch: int, lease: float) -> Subscription:
    """The subscription that works a replay."""
    positions = replay.selection.positions
    last = positions[-1] if positions else replay.selection.last
    selection = replace(replay.selection, last=last)
    return Subscription(name=f"replay-{replay.id}", log="events", selection=selection, batch=batch, lease=lease)


def require_same_code(
    replay: Replay, *, events: EventLog, registry: PipelineRegistry, fingerprints: Mapping[str, str]
) -> None:
    """Refuse to run a replay with other code than it was planned for.

    Raises:
        InvalidReplay: names the pipelines that changed.
    """
    changed = _changed(replay, events=events, registry=registry, fingerprints=fingerprints)
    if changed:
        raise InvalidReplay(
            f"Replay {replay.id} was planned for other code of {', '.join(changed)}. Plan it again, or run it with the "
            "code of the plan."
        )


def has_same_code(
    replay: Replay, *, events: EventLog, registry: PipelineRegistry, fingerprints: Mapping[str, str]
) -> bool:
    """Whether the code here is the one that the replay was planned for."""
    return not _changed(replay, events=events, registry=registry, fingerprints=fingerprints)


def _changed(
    replay: Replay, *, events: EventLog, registry: PipelineRegistry, fingerprints: Mapping[str, str]
) -> list[str]:
    planned, today = replay.fingerprints, _code_for(events.count(replay.selection), registry, fingerprints)
    return [name for name in sorted({*planned, *today}) if planned.get(name) != today.get(name)]


def run_replay(
    subscription: Subscription,
    *,
    engine: Engine,
    claims: Claims,
    auditor: Auditor,
    progress: Callable[[int], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Work a replay to its end, or on from where an earlier run stopped, until the engine is told to stop.

    `progress` is told the position reached.
    """
    auditor.record("replay.run", subscription.name.removeprefix("replay-"))
    claims.register([subscription])
    while not engine.stopping and not is_done(subscription, claims=claims):
        if not engine.turn(subscription.name, seconds=0.5):
            # Its last claims are leased to another process, or wait for their next attempt.
            sleep(_PAUSE_SECONDS)
        progress(claims.backlog([subscription.name])[subscription.name].cursor)


def is_done(subscription: Subscription, *, claims: Claims) -> bool:
    """Whether every selected event has ended."""
    backlog = claims.backlog([subscription.name]).get(subscription.name)
    if backlog is None:
        return False
    end = backlog.head if subscription.selection.last is None else min(subscription.selection.last, backlog.head)
    return backlog.cursor >= end and backlog.claims == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayStatus:
    """How far a replay is, and how its results compare with the live ones (generation 0) by digest.

    `without_live`: results of events that have no completed live context of the same pipeline.
    """

    replay: Replay
    done: bool
    contexts: Sequence[tuple[str, ContextStatus, int]]
    identical: int
    different: int
    without_live: int


def replay_status(replay: Replay, *, subscription: Subscription, claims: Claims, contexts: ContextLog) -> ReplayStatus:
    """How far a replay is."""
    counts = {"identical": 0, "different": 0, "without_live": 0}
    for pair in pairs(contexts, replay.id):
        if pair.new.status == "completed":
            counts[pair.verdict] += 1
    return ReplayStatus(
        replay=replay,
        done=is_done(subscription, claims=claims),
        contexts=contexts.summary(replay.id),
        **counts,
    )
