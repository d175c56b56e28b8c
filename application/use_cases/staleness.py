"""Staleness: which stored results today's code could change, and which change of it says so.

Results are told apart by what made them (pipeline, fingerprint, event type). Only those that a change inside a branch
may concern are read, to see whether their event took it. Dead letters are no results: run them again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic_core import from_json

from application.ports.context_log import ContextLog, Origin
from application.ports.event_log import EventLog
from application.ports.pipeline_codes import PipelineCodes
from application.ports.promotions import Promotions
from application.subscription import Selection
from domain.fingerprints import Change, PipelineCode, changes, is_read_for
from domain.registry import PipelineRegistry

EXAMPLES = 3
_PAGE = 5_000
_READ = 200
"""Contexts that are read at once."""


@dataclass(slots=True, kw_only=True)
class StaleClass:
    """Results of a pipeline that the same parts of its code may change.

    `causes` are these parts (`node classify`), or why they cannot be told. `changed` says what of them has changed,
    `results` counts, `examples` are ids of some of the events.
    """

    pipeline: str
    causes: tuple[str, ...]
    changed: list[str] = field(default_factory=list)
    results: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Staleness:
    """Of `results` that hold, those that the code here could change, by cause.

    Seen is the code of `packages`, but for the values of constants in `unseen`; what libraries do is not.
    """

    results: int = 0
    stale: int = 0
    classes: list[StaleClass] = field(default_factory=list)
    packages: Sequence[str] = ()
    unseen: Sequence[str] = ()


def find_stale(
    *,
    contexts: ContextLog,
    events: EventLog,
    codes: PipelineCodes,
    promotions: Promotions,
    registry: PipelineRegistry,
) -> Staleness:
    """Every result that holds and that today's code could change, counted by cause.

    Raises:
        Unavailable: the database cannot be reached.
    """
    today = registry.codes
    ranks = promotions.current().ranks
    made = contexts.origins(ranks)
    changed = _changes([each.origin for each in made], codes, registry)
    found = Staleness(
        results=sum(each.results for each in made),
        packages=sorted({package for code in today.values() for package in code.packages}),
        unseen=sorted({constant for code in today.values() for constant in code.unseen}),
    )
    classes: dict[tuple[str, ...], StaleClass] = {}
    examples: dict[tuple[str, ...], list[int]] = {}

    def add(origin: Origin, causes: Sequence[Change], event_position: int, results: int = 1) -> None:
        key = (origin.pipeline, *(cause.part for cause in causes))
        one = classes.setdefault(key, StaleClass(pipeline=key[0], causes=key[1:]))
        one.results += results
        said = (f"{cause.part}: {what}" for cause in causes for what in cause.details)
        one.changed += [each for each in said if each not in one.changed]
        examples.setdefault(key, []).append(event_position)
        del examples[key][EXAMPLES:]

    for each in made:
        if always := _always(changed[each.origin]):
            add(each.origin, always, each.first, each.results)
    for event_position, origin, causes in _concerned(changed, contexts, ranks, only_inside=True):
        add(origin, causes, event_position)
    ids = _ids({position for each in examples.values() for position in each}, events)
    for key, one in classes.items():
        one.examples = [ids[position] for position in examples[key]]
        found.stale += one.results
    found.classes = sorted(classes.values(), key=lambda one: (-one.results, one.pipeline, one.causes))
    return found


def stale_positions(
    pipeline: str | None = None,
    *,
    contexts: ContextLog,
    codes: PipelineCodes,
    promotions: Promotions,
    registry: PipelineRegistry,
) -> Iterator[int]:
    """The positions of events with a result that holds (of a pipeline) and that today's code could change."""
    ranks = promotions.current().ranks
    origins = [each.origin for each in contexts.origins(ranks)]
    wanted = [origin for origin in origins if pipeline in {None, origin.pipeline}]
    for event_position, _, _ in _concerned(_changes(wanted, codes, registry), contexts, ranks):
        yield event_position


def _changes(
    origins: Collection[Origin], codes: PipelineCodes, registry: PipelineRegistry
) -> Mapping[Origin, Sequence[Change]]:
    """What has changed since each origin that could change its results."""
    known = codes.find({origin.fingerprint for origin in origins})
    return {origin: _change(origin, known.get(origin.fingerprint), registry) for origin in origins}


def _change(origin: Origin, then: PipelineCode | None, registry: PipelineRegistry) -> Sequence[Change]:
    if origin.type not in registry.types:
        return [Change(part=f"no pipeline accepts {origin.type} any more")]
    name = registry.pipeline_for(origin.type).name
    if name != origin.pipeline:
        return [Change(part=f"{origin.type} runs through {name} now")]
    now = registry.codes[name]
    if now.fingerprint == origin.fingerprint:
        return ()
    if then is None:
        return [Change(part="unknown code")]
    return [each for each in changes(then, now) if is_read_for(each.part, origin.type)]


def _always(changed: Iterable[Change]) -> list[Change]:
    return [each for each in changed if not each.choices]


def _concerned(
    changed: Mapping[Origin, Sequence[Change]],
    contexts: ContextLog,
    ranks: Mapping[int, int],
    *,
    only_inside: bool = False,
) -> Iterator[tuple[int, Origin, Sequence[Change]]]:
    """The results that a change concerns, by position: their event's position, their origin, and the changes.

    `only_inside` leaves out origins of which a change concerns all results.
    """
    wanted = {origin: found for origin, found in changed.items() if found and not (only_inside and _always(found))}
    after = 0
    while wanted and (page := contexts.of_origins(ranks, wanted, after=after, limit=_PAGE)):
        after = page[-1][0]
        doubtful = [position for position, _, origin in page if not _always(wanted[origin])]
        outputs: dict[int, Mapping[str, object]] = {}
        for begin in range(0, len(doubtful), _READ):
            some = Selection(positions=tuple(doubtful[begin : begin + _READ]))
            outputs |= {row.position: from_json(row.context)["outputs"] for row in contexts.read(some, limit=_READ)}
        for position, event_position, origin in page:
            causes = _always(wanted[origin]) or [each for each in wanted[origin] if each.concerns(outputs[position])]
            if causes:
                yield event_position, origin, causes


def _ids(positions: Collection[int], events: EventLog) -> Mapping[int, str]:
    found = events.read(Selection(positions=tuple(sorted(positions))), limit=len(positions)) if positions else []
    return {event.position: event.id for event in found}
