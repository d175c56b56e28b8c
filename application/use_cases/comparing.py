"""Comparing: two results of each event side by side, what differs, and what the differences have in common."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from heapq import merge
from itertools import chain, groupby, islice
from math import inf
from typing import Any

from pydantic_core import from_json, to_json

from application.ports.context_log import ContextLog, Result
from application.ports.event_log import EventLog
from application.ports.promotions import Promotions, View, ranks_of
from application.subscription import Selection
from domain.differences import MISSING, Difference, Rules, differences
from domain.events import RecordedEvent

MAX_CLASSES = 500
"""Classes that are told apart; differences of further ones are counted together by their place."""
EXAMPLES = 3
_PAGE = 5_000
_NO_MORE: tuple[float, Iterable[Result]] = (inf, ())
_READ = 200
"""Pairs of contexts that are read at once; of the first so many, the events are run twice to find noise."""

DryRun = Callable[[RecordedEvent], Mapping[str, Any]]
"""Runs an event through today's code, gives the members of its context, failed or not, and keeps nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A result of a generation, and the live one of the same event and pipeline, if there is one."""

    new: Result
    old: Result | None

    @property
    def verdict(self) -> str:
        """`identical`, `different` or `without_live`."""
        if self.old is None:
            return "without_live"
        same = (self.old.status, self.old.digest) == (self.new.status, self.new.digest)
        return "identical" if same and self.new.status == "completed" else "different"


def pairs(contexts: ContextLog, generation: int, view: View) -> Iterator[Pair]:
    """Every result of a generation beside the one that holds without it, by event position.

    Of a promoted generation that is the one under it.
    """
    new_results = results_of(generation, contexts)
    first = next(new_results, None)
    if first is None:
        return
    beneath = view.promoted[view.promoted.index(generation) + 1 :] if generation in view.promoted else view.promoted
    held = results_that_hold(contexts, ranks_of(beneath), after=first.event_position - 1)
    old = next(held, None)
    for new in chain([first], new_results):
        while old is not None and old.key < new.key:
            old = next(held, None)
        yield Pair(new=new, old=old if old is not None and old.key == new.key else None)


def results_that_hold(contexts: ContextLog, ranks: Mapping[int, int], *, after: int = 0) -> Iterator[Result]:
    """The result that holds of each (event, pipeline), in their order past an event position.

    It is that of the highest rank, and completed rather than dead.
    """
    generations = sorted(ranks, key=ranks.__getitem__, reverse=True)
    by_rank = [results_of(generation, contexts, after=after) for generation in generations]
    for _, same in groupby(merge(*by_rank, key=lambda result: result.key), lambda result: result.key):
        # `merge` keeps the order of what is equal: the highest rank first, and `max` takes the first.
        yield max(same, key=lambda result: result.status == "completed")


def results_of(generation: int, contexts: ContextLog, *, after: int = 0) -> Iterator[Result]:
    """Every result of a generation past an event position, by event position and pipeline."""
    while rows := contexts.results(generation, after=after, limit=_PAGE):
        last = rows[-1].event_position
        # A page goes on past whole events, and the last of a full one may have results behind it.
        whole = [row for row in rows if row.event_position < last or len(rows) < _PAGE] or rows
        yield from whole
        after = whole[-1].event_position


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """An event and the JSON members of two contexts of it: outputs, effects, and the run with its failure."""

    pipeline: str
    event: RecordedEvent
    old: Mapping[str, Any]
    new: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class DifferenceClass:
    """Differences of one kind: at one place of a pipeline's results, from one node on, changed in the same words.

    `node` is the first of the event's nodes whose output or effects differ. `events` counts events, of which
    `examples` names some by id; `old` and `new` are the first one's values there, None where there is none.
    """

    pipeline: str
    node: str
    place: str
    words: str
    old: Any
    new: Any
    events: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Comparison:
    """What became of each result of a replay, or of a run of a corpus, beside the known one.

    `equivalent`: other digests, and no difference that counts. `noise` are places that differ when the same code runs
    twice, where they were sought; they do not count. `same` is whether nothing differs. `different_by_day` counts
    events by the UTC day of their time, `YYYY-MM-DD`.
    """

    noise_sought: bool = False
    compared: int = 0
    identical: int = 0
    equivalent: int = 0
    different: int = 0
    without_live: int = 0
    different_by_day: dict[str, int] = field(default_factory=dict)
    noise: Sequence[str] = ()
    classes: list[DifferenceClass] = field(default_factory=list)

    @property
    def same(self) -> bool:
        return not self.different and not self.without_live


def compare(
    generation: int,
    *,
    contexts: ContextLog,
    events: EventLog,
    view: View,
    rules: Rules,
    dry_run: DryRun | None = None,
) -> Comparison:
    """Compare a generation with the results that hold without it.

    `dry_run` is the code that made the generation: events that differ are run twice through it, and what differs then
    is noise. Without it noise is not sought.
    """
    comparison = Comparison()
    unlike = _counted(pairs(contexts, generation, view), comparison)
    judge(comparison, _sides(unlike, contexts, events), rules, dry_run)
    return comparison


def compare_held(
    selection: Selection,
    rules: Rules,
    *,
    events: EventLog,
    contexts: ContextLog,
    promotions: Promotions,
    dry_run: DryRun,
    progress: Callable[[int], None] = lambda _: None,
) -> Comparison:
    """Run selected events through the code at hand, and compare what it makes with the results that hold.

    Nothing is appended. Events without a result are passed over. `progress` is told how many were compared.
    """
    known = _held(selection, events, contexts, promotions.current())
    return compare_dry(known, rules, dry_run=dry_run, progress=progress)


def _held(
    selection: Selection, events: EventLog, contexts: ContextLog, view: View
) -> Iterator[tuple[RecordedEvent, Mapping[str, Any]]]:
    """Selected events with the members of the result that holds of each."""
    results = groupby(results_that_hold(contexts, view.ranks, after=selection.after), lambda each: each.event_position)
    position, same = next(results, _NO_MORE)
    selected = events.stream(selection)
    while page := list(islice(selected, _READ)):
        wanted: dict[int, RecordedEvent] = {}
        for event in page:
            while position < event.position:
                position, same = next(results, _NO_MORE)
            if position == event.position:
                # Of several pipelines, where its type has moved from one to another: as its status says.
                held = max(same, key=lambda each: (each.status == "completed", each.position))
                wanted[held.position] = event
        rows = contexts.read(Selection(positions=tuple(sorted(wanted))), limit=len(wanted)) if wanted else []
        yield from ((wanted[row.position], from_json(row.context)) for row in rows)


def compare_dry(
    known: Iterable[tuple[RecordedEvent, Mapping[str, Any]]],
    rules: Rules,
    *,
    dry_run: DryRun,
    noise: Sequence[str] = (),
    progress: Callable[[int], None] = lambda _: None,
) -> Comparison:
    """Run events through the code at hand, and compare what it makes with the members of the known results.

    What differs when this code runs twice is noise and does not count, nor what is known as `noise`.
    """
    comparison = Comparison(noise=noise)

    def unlike() -> Iterator[Sides]:
        for event, members in known:
            made = dry_run(event)
            comparison.compared += 1
            progress(comparison.compared)
            if _result(members) == _result(made):
                comparison.identical += 1
            else:
                name = made["run"].get("pipeline") or event.route or ""
                yield Sides(pipeline=name, event=event, old=members, new=made)

    judge(comparison, unlike(), rules, dry_run)
    return comparison


def _result(members: Mapping[str, Any]) -> bytes:
    """What two results are identical by: as JSON, for to Python 1, 1.0 and true are equal."""
    failure = members["run"]["failure"]
    if failure is not None:
        return to_json([failure["node"], failure["type"]])
    return to_json([members["outputs"], members["effects"]])


def judge(comparison: Comparison, unlike: Iterable[Sides], rules: Rules, dry_run: DryRun | None) -> None:
    """Add to a comparison what became of events whose two results are not identical; see `compare` for `dry_run`."""
    unlike = iter(unlike)
    first = list(islice(unlike, _READ))
    if dry_run is not None:
        # Sought in the first of them alone, for code makes noise at the same places in every event; and only in what
        # this code has run to its end once: it may be run again.
        sought = noise((each.event for each in first if _end(each.new) is None), dry_run)
        comparison.noise_sought = True
        comparison.noise = tuple(dict.fromkeys((*comparison.noise, *sought)))
    rules = replace(rules, ignored=(*rules.ignored, *comparison.noise))
    classes: dict[tuple[str, ...], DifferenceClass] = {}
    for each in chain(first, unlike):
        found = _differences(each.old, each.new, rules)
        if not found:
            comparison.equivalent += 1
            continue
        comparison.different += 1
        day = each.event.time.astimezone(UTC).date().isoformat()
        comparison.different_by_day[day] = comparison.different_by_day.get(day, 0) + 1
        _classify(classes, each.pipeline, found, each.event.id)
    comparison.classes = sorted(classes.values(), key=lambda each: (-each.events, each.pipeline, each.place))


def noise(sample: Iterable[RecordedEvent], dry_run: DryRun) -> Sequence[str]:
    """The places at which two runs of one event through the same code differ."""
    places: dict[str, None] = {}
    for event in sample:
        first, second = dry_run(event), dry_run(event)
        if _end(first) is None and _end(second) is None:
            places.update(dict.fromkeys(each.place for each in differences(first, second, Rules())))
    return tuple(places)


def _counted(found: Iterable[Pair], comparison: Comparison) -> Iterator[Pair]:
    """Count the verdicts; the pairs that must be looked at."""
    for pair in found:
        comparison.compared += 1
        if pair.verdict == "different":
            yield pair
        elif pair.verdict == "identical":
            comparison.identical += 1
        else:
            comparison.without_live += 1


def _sides(unlike: Iterator[Pair], contexts: ContextLog, events: EventLog) -> Iterator[Sides]:
    while page := list(islice(unlike, _READ)):
        by_position = {event.position: event for event in _events(page, events)}
        members = _members(page, contexts)
        for pair in page:
            assert pair.old is not None
            yield Sides(
                pipeline=pair.new.pipeline,
                event=by_position[pair.new.event_position],
                old=members[pair.old.position],
                new=members[pair.new.position],
            )


def _events(page: Sequence[Pair], events: EventLog) -> list[RecordedEvent]:
    positions = tuple(sorted({pair.new.event_position for pair in page}))
    return events.read(Selection(positions=positions), limit=len(positions))


def _members(page: Sequence[Pair], contexts: ContextLog) -> dict[int, Mapping[str, Any]]:
    wanted = sorted({result.position for pair in page for result in (pair.new, pair.old) if result is not None})
    rows = contexts.read(Selection(positions=tuple(wanted)), limit=len(wanted))
    return {row.position: from_json(row.context) for row in rows}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], rules: Rules) -> Sequence[Difference]:
    """What differs between two contexts. A run that failed is compared by how it failed, and by nothing else."""
    ends = [_end(each) for each in (old, new)]
    if ends[0] == ends[1]:
        return differences(old, new, rules) if ends[0] is None else ()
    before, after = ("completed" if end is None else f"dead by {end[1]}" for end in ends)
    node = next((end[0] for end in reversed(ends) if end is not None), "")
    return [Difference(node=node, pointer="/run/status", old=before, new=after)]


def _end(members: Mapping[str, Any]) -> tuple[str, str] | None:
    failure = members["run"].get("failure")
    return None if failure is None else (failure["node"] or "", failure["type"])


def _classify(
    classes: dict[tuple[str, ...], DifferenceClass], pipeline: str, found: Sequence[Difference], event_id: str
) -> None:
    first = found[0].node
    kinds = {(each.place, each.words): each for each in reversed(found)}
    for (place, words), each in reversed(kinds.items()):
        key = (pipeline, first, place, words)
        if key not in classes and len(classes) >= MAX_CLASSES:
            key = (*key[:3], "and other changes")
        if key not in classes:
            old, new = (None if value is MISSING else value for value in (each.old, each.new))
            classes[key] = DifferenceClass(pipeline=pipeline, node=first, place=place, words=key[3], old=old, new=new)
        one = classes[key]
        one.events += 1
        if len(one.examples) < EXAMPLES:
            one.examples.append(event_id)
