"""Replay plans: what is to be replayed, frozen; how many events that is, and how long it will take."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from application.auditor import Auditor
from application.ports.context_log import ContextLog
from application.ports.event_log import EventLog
from application.ports.replays import Replay, Replays
from application.ports.search_index import SearchIndex
from application.ports.task_states import TaskStates, TaskStatus
from application.subscription import Selection
from application.use_cases.comparing import DryRun
from application.use_cases.events import get_event
from application.use_cases.listing import list_positions
from application.use_cases.replay import code_for
from domain.errors import InvalidReplay
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
    code = code_for(by_type, registry, fingerprints)
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
