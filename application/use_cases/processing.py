"""Processing: run the pipeline of each event and say what is appended. Live and replay go through here."""

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from application.engine import Batch, Outcome
from application.ports.claims import MAX_DEATHS, Claim
from application.ports.context_log import ContextStatus, NewContext
from application.subscription import of_pipeline
from application.use_cases.effects import validate_calls
from application.use_cases.events import UnknownTypes
from application.use_cases.follow_ups import follow_ups_of
from domain.context import Failure, Run, TaskContext, digest_of, whole_json
from domain.effects import CALLS, EmitEvent, IndexDocument
from domain.envelopes import plain
from domain.errors import InvalidEvent, NewerSchema, TransientError, UnrunnableHere, UpcastFailed, WorkerDied
from domain.events import RecordedEvent, derived_id, lane_of
from domain.pipeline import NodeFailed, Pipeline
from domain.registry import PipelineRegistry
from domain.retry import NO_END

MAX_MADE = 64 * 2**20
"""Characters of contexts that are appended at once. What a claim has behind them goes back, and is run next."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONLY_DOCUMENTS = frozenset({IndexDocument})
_NIL_UUID7 = "00000000-0000-7000-8000-000000000000"


class Processor:
    """Runs events through the loaded pipelines into one generation.

    Live (generation 0) an event runs through the pipeline that it was routed to, as long as that one accepts its
    type; a replay runs it through the one that accepts its type today.
    """

    def __init__(
        self,
        registry: PipelineRegistry,
        *,
        generation: int = 0,
        unknown_types: UnknownTypes = "refuse",
        clock: Callable[[], float] = time.perf_counter,
        mask: Callable[[str], str] = str,
    ) -> None:
        """`mask` covers secrets in the messages of failures, which are kept for ever."""
        self._registry = registry
        self._generation = generation
        self._unknown_types = unknown_types
        self._clock = clock
        self._mask = mask

    def process(self, batch: Batch) -> Sequence[Outcome]:
        """Run each event of a claim. Events that a stopping worker has not begun are handed back.

        In order, what follows an event that goes back, or that holds its lane, goes back behind it.
        """
        outcomes: list[Outcome] = []
        made = 0
        for event in batch.rows:
            if batch.stopping():
                outcomes.append(Outcome(position=event.position, back="hand_back"))
            elif batch.subscription.in_order and outcomes and _stops(outcomes[-1]):
                outcomes.append(Outcome(position=event.position, back="behind"))
            elif made > MAX_MADE:
                outcomes.append(Outcome(position=event.position, back="hand_back", after=0.0))
            else:
                outcome = self._process_one(event, batch)
                outcomes.append(outcome)
                made += len(outcome.context.context) if outcome.context else 0
                batch.done += 1
        return outcomes

    def dry_run(self, event: RecordedEvent) -> Mapping[str, Any]:
        """The JSON members of the context that a last attempt at an event would append, failed or not; not kept."""
        name, at = event.route or event.type, event.position
        claim = Claim(id=0, subscription=name, first=at, last=at, attempt=NO_END, deaths=0, fence=0)
        batch = Batch(claim=claim, subscription=of_pipeline(name), rows=[event], stopping=lambda: False)
        outcome = self._process_one(event, batch)
        if outcome.context is None:
            newer = Failure(node=None, type=NewerSchema.__name__, message="The event is of newer code.")
            return {"outputs": {}, "effects": [], "run": {"status": "dead", "failure": asdict(newer)}}
        members: Mapping[str, Any] = from_json(outcome.context.context)
        return members

    def pipeline_of(self, event: RecordedEvent) -> Pipeline:
        """The pipeline that runs an event today.

        Raises:
            UnknownType: no pipeline accepts its type.
            UnrunnableHere: only newer code does.
        """
        if self._generation == 0 and event.route is not None and event.route in self._registry:
            routed = self._registry.named(event.route)
            if event.type in routed.accepts:
                return routed
            if event.type not in self._registry.types:
                # Newer code routed it here, as this code's pipeline does not accept it yet.
                raise UnrunnableHere(f"Pipeline {routed.name!r} of this process does not accept {event.type!r}.")
        return self._registry.get_pipeline(event)

    def validate_effects(self, context: TaskContext, pipeline: Pipeline) -> None:
        """Refuse what a finished run declares and cannot be: as `follow_ups_of` and `validate_calls` do."""
        if not _ONLY_DOCUMENTS.issuperset(map(type, context.effects)):
            validate_calls(context, registry=self._registry, unknown_types=self._unknown_types)
            follow_ups_of(
                context,
                pipeline=pipeline.name,
                generation=self._generation,
                registry=self._registry,
                unknown_types=self._unknown_types,
            )

    def _process_one(self, event: RecordedEvent, batch: Batch) -> Outcome:
        claim = batch.claim
        pipeline: Pipeline | None = None
        timer = _Timer(self._clock, batch)
        try:
            pipeline = self._registry.prepared(self.pipeline_of(event).name)
            if claim.deaths >= MAX_DEATHS:
                raise WorkerDied(f"{claim.deaths} workers died while they ran this event.")  # noqa: TRY301  # ends it as any failure does
            context = pipeline.run(event, timer)
            self.validate_effects(context, pipeline)
            result, effects = context.result_json, context.effects
            status: ContextStatus = "completed"
            failure = None
        except (NewerSchema, UnrunnableHere):
            return Outcome(position=event.position, back="hand_back")
        except BaseException as error:  # whatever a run raises ends this event, not the worker
            if isinstance(error, KeyboardInterrupt):
                raise
            timer("")
            result, failure, effects = _result_of_failed(event, error), _failure(error, self._mask), ()
            status = "failed" if _may_be_tried_again(error, claim, pipeline) else "dead"
        name = pipeline.name if pipeline else event.route or ""
        fingerprint = pipeline.fingerprint if pipeline else ""
        run = Run(
            pipeline=name,
            generation=self._generation,
            attempt=claim.attempt + 1,
            fingerprint=fingerprint,
            status=status,
            seconds=timer.seconds,
            failure=failure,
        )
        kinds = set(map(type, effects))
        new = NewContext(
            event_position=event.position,
            pipeline=name,
            generation=self._generation,
            status=status,
            context=whole_json(result, run),
            digest=digest_of(result),
            fingerprint=fingerprint,
            emits=EmitEvent in kinds,
            calls=not kinds.isdisjoint(CALLS),
            failure=None if failure is None else failure.kind,
        )
        return Outcome(
            position=event.position,
            context=new,
            back="retry" if status == "failed" else None,
            holds=status == "dead" and batch.subscription.hold,
        )


def try_out(pipeline: Pipeline, text: str, *, position: int) -> TaskContext:
    """Run a pipeline over an event in the plain form, as if it had been recorded at its own time. Nothing is stored.

    Raises:
        MalformedJson, InvalidEvent: the text is not an event of a type that the pipeline accepts.
        NodeFailed: a node raised.
    """
    submission = plain(text)
    if submission.type not in pipeline.accepts:
        raise InvalidEvent(
            f"Pipeline {pipeline.name!r} accepts {', '.join(pipeline.accepts)}, not {submission.type!r}."
        )
    time_ = submission.time or EPOCH
    event = RecordedEvent(
        position=position,
        id=derived_id(_NIL_UUID7, submission.type, position, submission.data),
        type=submission.type,
        source=submission.source,
        subject=submission.subject,
        time=time_,
        recorded_at=time_,
        route=pipeline.name,
        lane=lane_of(submission.subject),
        data=submission.data,
        schema_version=pipeline.schemas[submission.type].version,
        attributes=submission.attributes,
    )
    return pipeline.run(event)


class _Timer:
    """The observer of a run: seconds by node."""

    def __init__(self, clock: Callable[[], float], batch: Batch) -> None:
        self._clock = clock
        self._batch = batch
        self._begun: list[tuple[str, float]] = []

    def __call__(self, node: str) -> None:
        self._begun.append((node, self._clock()))
        self._batch.step = node

    @property
    def seconds(self) -> dict[str, float]:
        """How long each node took, to the microsecond; the last one, once the empty name was told."""
        # In a third of the time that `round` takes, once a node.
        return {node: int((end - began) * 1e6 + 0.5) / 1e6 for (node, began), (_, end) in pairwise(self._begun) if node}


def _stops(outcome: Outcome) -> bool:
    """Whether nothing may run before this row has ended."""
    return outcome.back is not None or outcome.holds


def _may_be_tried_again(error: BaseException, claim: Claim, pipeline: Pipeline | None) -> bool:
    transient = isinstance(error, NodeFailed) and isinstance(error.__cause__, TransientError)
    return transient and pipeline is not None and claim.attempt + 1 < pipeline.retry.attempts


def _result_of_failed(event: RecordedEvent, error: BaseException) -> str:
    """What the run had made when it failed, as far as it can be written down."""
    if isinstance(error, NodeFailed):
        with suppress(ValueError):
            return error.context.result_json
    return TaskContext(event=event).result_json


def _failure(error: BaseException, mask: Callable[[str], str]) -> Failure:
    node = error.node if isinstance(error, NodeFailed) else None
    cause = error.__cause__ or error if isinstance(error, NodeFailed) else error
    # Where an upcaster failed is a place in it, though the words are ours.
    raised = cause.__cause__ or cause if isinstance(cause, UpcastFailed) else cause
    frames = traceback.extract_tb(raised.__traceback__)
    where = None
    if frames:
        path = Path(frames[-1].filename)
        where = f"{'/'.join(path.parts[-2:])}:{frames[-1].lineno} in {frames[-1].name}"
    message = mask(str(cause).encode(errors="replace").decode())[:2000]
    return Failure(node=node, type=type(cause).__name__, message=message, where=where)
