"""The corpus gate: a stratified sample of the past for a repository, and the code at hand run over it in CI."""

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from pydantic_core import from_json

from application.auditor import Auditor
from application.ports.context_log import ContextLog, RecordedContext
from application.ports.log_ids import LogIds
from application.ports.promotions import Promotions, View
from application.ports.task_states import TaskStates
from application.subscription import Selection
from application.use_cases.comparing import Comparison, DryRun, compare_dry, noise, results_that_hold
from domain.anonymising import Anonymiser
from domain.context import TaskContext
from domain.corpus import Corpus, Expectation, Header, expectation_of, outcome_of
from domain.differences import Rules, blanked
from domain.errors import WorkerDied
from domain.pseudonyms import Pseudonyms
from domain.registry import PipelineRegistry

_READ = 500
"""Contexts that are read at once."""
ANOTHER_WAY = "under pseudonyms the run ends otherwise"
NO_PIPELINE = "no pipeline accepts the type today"
DEADLY = "it killed its worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportCorpus:
    """Take at most `per_shape` events of each shape: type, schema version and outcome.

    Unless `plain`, texts are pseudonyms but at or below a pointer of `kept`, and numbers at or below one of `replaced`
    are replaced too.
    """

    per_shape: int
    plain: bool = False
    kept: Sequence[str] = ()
    replaced: Sequence[str] = ()


@dataclass(slots=True, kw_only=True)
class ExportedShape:
    """What became of a shape: of `stored` events `taken`, and how many of those chosen were left out, by the reason."""

    type: str
    schema_version: int
    outcome: str
    stored: int = 0
    taken: int = 0
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A corpus, what became of each shape, and of how many of its events other code made the stored result."""

    corpus: Corpus | None
    shapes: Sequence[ExportedShape]
    by_other_code: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Chosen:
    shape: ExportedShape
    row: RecordedContext


def export_corpus(
    command: ExportCorpus,
    *,
    contexts: ContextLog,
    states: TaskStates,
    promotions: Promotions,
    log_ids: LogIds,
    registry: PipelineRegistry,
    fingerprints: Mapping[str, str],
    dry_run: DryRun,
    auditor: Auditor,
    progress: Callable[[int], None] = lambda _: None,
) -> Export:
    """Take a sample of the results that hold of events. `progress` is told the position reached.

    The same events are chosen, and under the same pseudonyms, whenever the store is the same. A plain corpus expects
    the stored results; under pseudonyms those of the code at hand, and an event whose run then ends with another
    outcome than the stored one is left out. No corpus is made where nothing is left.

    Raises:
        Unavailable: the store cannot be reached.
    """
    auditor.record(
        "corpus.export", per_shape=command.per_shape, plain=command.plain, kept=[*command.kept],
        replaced=[*command.replaced],
    )  # fmt: skip
    shapes, chosen = _choose(command.per_shape, contexts, states, promotions.current(), progress)
    runnable = [each for each in chosen if _may_run(each, registry)]
    by_other_code = Counter(
        each.row.pipeline for each in runnable if each.row.fingerprint != fingerprints.get(each.row.pipeline)
    )
    if command.plain:
        taken = [(each, _plain(each)) for each in runnable]
        places: Sequence[str] = ()
    else:
        key = hashlib.sha256(f"corpus {log_ids.of('events')}".encode()).digest()
        anonymiser = Anonymiser(pseudonyms=Pseudonyms(key), kept=command.kept, replaced=command.replaced)
        taken = list(_under_pseudonyms(runnable, anonymiser, registry, dry_run))
        places = noise((made.event for _, made in taken if made.failure is None), dry_run)
        # What differs each time would make other bytes each time.
        taken = [
            (each, made if made.failure else replace(made, **blanked(made.members, places))) for each, made in taken
        ]
    for each, _ in taken:
        each.shape.taken += 1
    return Export(
        corpus=_corpus(command, taken, places, fingerprints) if taken else None,
        shapes=shapes,
        by_other_code=by_other_code,
    )


def check_corpus(
    corpus: Corpus, rules: Rules, *, dry_run: DryRun, progress: Callable[[int], None] = lambda _: None
) -> Comparison:
    """Run each event of a corpus through the code at hand, and compare the result with the expected one.

    What differs when this code runs twice is noise and does not count, nor what was noise at the export.
    """
    known = ((expected.event, expected.members) for expected in corpus.expectations)
    return compare_dry(known, rules, dry_run=dry_run, noise=tuple(corpus.header.noise), progress=progress)


def _choose(
    per_shape: int, contexts: ContextLog, states: TaskStates, view: View, progress: Callable[[int], None]
) -> tuple[Sequence[ExportedShape], Sequence[_Chosen]]:
    """Every shape there is, and of each the events whose ids have the lowest hashes: few others when there are more."""
    shapes: dict[tuple[str, int, str], ExportedShape] = {}
    lowest: dict[tuple[str, int, str], list[tuple[int, int]]] = {}
    for row, event, outcome in _outcomes(contexts, states, view):
        key = event["type"], event["schema_version"], outcome
        shape = shapes.setdefault(key, ExportedShape(type=key[0], schema_version=key[1], outcome=outcome))
        shape.stored += 1
        heap = lowest.setdefault(key, [])
        entry = -int.from_bytes(hashlib.sha256(event["id"].encode()).digest()), row.position
        if len(heap) < per_shape:
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)
        progress(row.event_position)
    positions = {position: shapes[key] for key, heap in lowest.items() for _, position in heap}
    rows = _rows(sorted(positions), contexts)
    return [shapes[key] for key in sorted(shapes)], [_Chosen(positions[row.position], row) for row in rows]


def _outcomes(
    contexts: ContextLog, states: TaskStates, view: View
) -> Iterator[tuple[RecordedContext, Mapping[str, Any], str]]:
    """The deciding context of each event that has ended, the members of the event, and how it ended."""
    ended = results_that_hold(contexts, view.ranks)
    while page := list(islice(ended, _READ)):
        rows = _rows(sorted(each.position for each in page), contexts)
        dead = [TaskContext.from_json(row.context).event for row in rows if row.status == "dead"]
        status = {event.position: state.status for event, state in zip(dead, states.of(dead), strict=True)}
        for row in sorted(rows, key=lambda row: row.event_position):
            # What is run again after its death has not ended.
            if row.status == "completed" or status[row.event_position] in {"failed", "discarded"}:
                members = from_json(row.context)
                discarded = "discarded, " if status.get(row.event_position) == "discarded" else ""
                yield row, members["event"], discarded + outcome_of(members)


def _rows(positions: Sequence[int], contexts: ContextLog) -> list[RecordedContext]:
    found: list[RecordedContext] = []
    for begin in range(0, len(positions), _READ):
        wanted = tuple(positions[begin : begin + _READ])
        found += contexts.read(Selection(positions=wanted), limit=len(wanted))
    return found


def _may_run(each: _Chosen, registry: PipelineRegistry) -> bool:
    why = None
    if each.shape.type not in registry.types:
        why = NO_PIPELINE
    elif each.row.failure is not None and each.row.failure.startswith(WorkerDied.__name__):
        why = DEADLY
    if why is not None:
        _leave_out(each, why)
    return why is None


def _leave_out(each: _Chosen, why: str) -> None:
    each.shape.left_out[why] = each.shape.left_out.get(why, 0) + 1


def _plain(each: _Chosen) -> Expectation:
    event = TaskContext.from_json(each.row.context).event
    return expectation_of(event, each.shape.outcome, from_json(each.row.context))


def _under_pseudonyms(
    chosen: Sequence[_Chosen], anonymiser: Anonymiser, registry: PipelineRegistry, dry_run: DryRun
) -> Iterator[tuple[_Chosen, Expectation]]:
    for each in chosen:
        event = TaskContext.from_json(each.row.context).event
        event = anonymiser.event(event, registry.get_pipeline(event).schemas[event.type])
        made = dry_run(event)
        if outcome_of(made) == each.shape.outcome.removeprefix("discarded, "):
            yield each, expectation_of(event, each.shape.outcome, made)
        else:
            _leave_out(each, ANOTHER_WAY)


def _corpus(
    command: ExportCorpus,
    taken: Sequence[tuple[_Chosen, Expectation]],
    places: Sequence[str],
    fingerprints: Mapping[str, str],
) -> Corpus:
    code: dict[str, set[str]] = {}
    for each, _ in taken:
        name = each.row.pipeline
        code.setdefault(name, set()).add(each.row.fingerprint if command.plain else fingerprints.get(name, ""))
    header = Header(
        anonymised=not command.plain,
        newest=max(each.row.recorded_at for each, _ in taken),
        fingerprints={name: sorted(code[name]) for name in sorted(code)},
        noise=sorted(places),
        kept=command.kept,
        replaced=command.replaced,
    )
    return Corpus(header, [expected for _, expected in taken])
