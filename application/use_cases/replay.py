"""Replay: run stored events again through today's pipelines, into a generation of its own."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from application.auditor import Auditor
from application.ports.claims import Claims
from application.ports.context_log import ContextLog, ContextStatus
from application.ports.event_log import EventLog
from application.ports.promotions import Promotions
from application.ports.replays import Replay, Replays
from application.ports.search_index import SearchIndex
from application.ports.task_states import TaskStates, TaskStatus
from application.subscription import Selection, Subscription
from application.use_cases.comparing import Comparison, DryRun, compare, pairs
from application.use_cases.events import get_event
from application.use_cases.listing import list_positions
from domain.differences import Rules
from domain.errors import InvalidReplay, NotFound
from domain.events import RecordedEvent
from domain.registry import PipelineRegistry

MAX_IDS = 10_000
"""Events that a plan may name one by one."""
FIRST = 5
SAMPLED = 100
"""Events that a plan may run in memory."""
SAMPLE_SECONDS = 2.0
"""After how long it begins no other."""
APPEND_SECONDS = 0.0001
"""At most what reading an event and appending its context cost beside its run.

Measured embedded on two cores: a replay of 27,630 flights, whose runs take 1.2 s, took 3.2 s.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReplay:
    """Plan to run events again: those named, or those that fit all of the filters; `everything` says all.

    `pipeline` is the one that the events were routed to; `since` (inclusive) and `until` (exclusive) bound the
    event's time, `first` and `last` (both inclusive) its position. `status` is that of the event's task, `query` is
    asked of the index, `generation` has a result of the event, `stale` is one whose live result today's code could
    change: what is so now is written down as a list.
    """

    ids: Sequence[str] = ()
    type: str | None = None
    pipeline: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    first: int | None = None
    last: int | None = None
    status: TaskStatus | None = None
    query: str | None = None
    generation: int | None = None
    stale: bool = False
    everything: bool = False

    @property
    def is_filter(self) -> bool:
        """Whether anything but ids narrows the selection."""
        filters = (self.type, self.pipeline, self.since, self.until, self.first, self.last)
        return self.stale or any(each is not None for each in (*filters, self.status, self.query, self.generation))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A kept replay, how many events of each type it selects, and which types have no pipeline today.

    `first` are some of its events. `sampled` of those that have succeeded before were run in memory: `effects` counts
    what they would declare, by kind, `failing` those whose run fails. `seconds` is how long all of it would take at
    their rate, in one process; None where there was none to run.
    """

    replay: Replay
    by_type: Mapping[str, int]
    without_pipeline: Sequence[str]
    first: Sequence[RecordedEvent]
    sampled: int
    effects: Mapping[str, int]
    failing: int
    seconds: float | None


def plan_replay(
    command: PlanReplay,
    *,
    events: EventLog,
    contexts: ContextLog,
    states: TaskStates,
    index: SearchIndex,
    replays: Replays,
    registry: PipelineRegistry,
    fingerprints: Mapping[str, str],
    stale: Callable[[str | None], Iterable[int]],
    auditor: Auditor,
    dry_run: DryRun,
    clock: Callable[[], float] = time.perf_counter,
) -> Plan:
    """Freeze a selection and the code it is meant for. Writes no context; `dry_run` is that code.

    `stale` gives the positions of events whose results (of a pipeline) it could change.

    Raises:
        InvalidReplay: nothing narrows the selection and `everything` is not said, it selects no event, or too many
            would have to be listed.
        NotFound: an id names no event.
        InvalidQuery: the query cannot be understood.
        Unavailable: a store or the index cannot be reached.
    """
    selection = _freeze(command, events=events, contexts=contexts, states=states, index=index, stale=stale)
    by_type = events.count(selection)
    if not by_type:
        raise InvalidReplay("No event fits the selection.")
    without = [type_ for type_ in by_type if type_ not in registry.types]
    code = _code_for(by_type, registry, fingerprints)
    replay = replays.create(selection, code, sum(by_type.values()))
    # Only now has it an id; and a plan changes nothing.
    auditor.record("replay.plan", str(replay.id), count=replay.count)
    sample = sample_of(selection, events=events, states=states, dry_run=dry_run, clock=clock)
    return Plan(
        replay=replay,
        by_type=by_type,
        without_pipeline=without,
        first=sample.events[:FIRST],
        sampled=sample.size,
        effects=sample.effects,
        failing=sample.failing,
        seconds=(sample.seconds / sample.size + APPEND_SECONDS) * replay.count if sample.size else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The first events of a selection; and what today's code makes of `size` of them, in `seconds`."""

    events: Sequence[RecordedEvent]
    size: int
    effects: Mapping[str, int]
    failing: int
    seconds: float


def sample_of(
    selection: Selection,
    *,
    events: EventLog,
    states: TaskStates,
    dry_run: DryRun,
    clock: Callable[[], float] = time.perf_counter,
) -> Sample:
    """Run the first events that have succeeded before in memory, for as long as a sample may take."""
    sample = events.read(selection, limit=SAMPLED)
    # What never ended well may end the process that tries it.
    harmless = [event for event, state in zip(sample, states.of(sample), strict=True) if state.status == "succeeded"]
    made, seconds = _tried(harmless, dry_run, clock)
    return Sample(
        events=sample,
        size=len(made),
        effects=Counter(effect["kind"] for members in made if not _failed(members) for effect in members["effects"]),
        failing=sum(map(_failed, made)),
        seconds=seconds,
    )


def _tried(
    sample: Iterable[RecordedEvent], dry_run: DryRun, clock: Callable[[], float]
) -> tuple[list[Mapping[str, Any]], float]:
    """What the code makes of events, for as long as a sample may take; and how long it took."""
    made: list[Mapping[str, Any]] = []
    began, seconds = clock(), 0.0
    for event in sample:
        if seconds >= SAMPLE_SECONDS:
            break
        made.append(dry_run(event))
        seconds = clock() - began
    return made, seconds


def _failed(members: Mapping[str, Any]) -> bool:
    return members["run"]["failure"] is not None


def _code_for(types: Iterable[str], registry: PipelineRegistry, fingerprints: Mapping[str, str]) -> Mapping[str, str]:
    """The fingerprint of each pipeline that runs events of these types today, by name."""
    used = {registry.pipeline_for(type_).name for type_ in types if type_ in registry.types}
    return {name: fingerprints[name] for name in sorted(used)}


def _freeze(
    command: PlanReplay,
    *,
    events: EventLog,
    contexts: ContextLog,
    states: TaskStates,
    index: SearchIndex,
    stale: Callable[[str | None], Iterable[int]],
) -> Selection:
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
    first, last = command.first or 1, head if command.last is None else min(command.last, head)
    listed = list_positions(
        status=command.status,
        query=command.query,
        generation=command.generation,
        stale=(each for each in stale(command.pipeline) if first <= each <= last) if command.stale else None,
        states=states,
        contexts=contexts,
        index=index,
    )
    where = {"type": command.type, "route": command.pipeline}
    selection = Selection(
        where={name: value for name, value in where.items() if value is not None},
        since=command.since,
        until=command.until,
        after=first - 1,
        last=last,
        positions=None if listed is None else tuple(listed),
    )
    if listed is None:
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


def subscription_of(replay: Replay, *, batch: int = 1, lease: float = 1.0) -> Subscription:
    """The subscription that works a replay. The defaults do for whoever looks at it and claims nothing."""
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


def compare_replay(
    replay: Replay,
    rules: Rules,
    *,
    events: EventLog,
    contexts: ContextLog,
    registry: PipelineRegistry,
    fingerprints: Mapping[str, str],
    dry_run: DryRun,
    promotions: Promotions,
) -> Comparison:
    """Compare a replay with the results that hold without it; noise is sought where the code here is the replay's."""
    same_code = not _changed(replay, events=events, registry=registry, fingerprints=fingerprints)
    return compare(
        replay.id,
        contexts=contexts,
        events=events,
        view=promotions.current(),
        rules=rules,
        dry_run=dry_run if same_code else None,
    )


def _changed(
    replay: Replay, *, events: EventLog, registry: PipelineRegistry, fingerprints: Mapping[str, str]
) -> list[str]:
    planned, today = replay.fingerprints, _code_for(events.count(replay.selection), registry, fingerprints)
    return [name for name in sorted({*planned, *today}) if planned.get(name) != today.get(name)]


def is_done(subscription: Subscription, *, claims: Claims) -> bool:
    """Whether every selected event has ended; claims on later ones, of a run that goes further, do not count."""
    name, last = subscription.name, subscription.selection.last
    backlog = claims.backlog([name]).get(name)
    if backlog is None:
        return False
    end = backlog.head if last is None else min(last, backlog.head)
    if backlog.cursor < end:
        return False
    return backlog.claims == 0 or all(first > end for first, _ in claims.ranges(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayStatus:
    """How far a replay is, and how its results compare by digest with those that hold without it.

    `without_live`: results of events that have no completed context of the same pipeline otherwise.
    """

    replay: Replay
    done: bool
    contexts: Sequence[tuple[str, ContextStatus, int]]
    identical: int
    different: int
    without_live: int


def replay_status(replay: Replay, *, claims: Claims, contexts: ContextLog, promotions: Promotions) -> ReplayStatus:
    """How far a replay is."""
    counts = {"identical": 0, "different": 0, "without_live": 0}
    for pair in pairs(contexts, replay.id, promotions.current()):
        if pair.new.status == "completed":
            counts[pair.verdict] += 1
    return ReplayStatus(
        replay=replay,
        done=is_done(subscription_of(replay), claims=claims),
        contexts=contexts.summary(replay.id),
        **counts,
    )
