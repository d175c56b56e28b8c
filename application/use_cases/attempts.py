"""Attempts: what one run after the other made of an event, node by node."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from application.ports.context_log import ContextStatus, RecordedContext
from application.ports.promotions import LIVE
from domain.context import Failure, TaskContext
from domain.effects import Call, Effect, EmitEvent, effect_id
from domain.events import RecordedEvent
from domain.pipeline import walk
from domain.registry import PipelineRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredEffect:
    """An effect that a node declared. `target` is the type of an event, the URL or the addresses of a call."""

    effect_id: str
    kind: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRun:
    """What one node of an attempt added: its `output`, where it `made` one, and the effects that it declared.

    `seconds` are kept of a pipeline's own nodes. `inside` names the one that the node is a part of, as far as the
    pipeline that is loaded today has it.
    """

    node: str
    seconds: float | None
    inside: str | None
    made: bool
    output: Any
    effects: Sequence[DeclaredEffect]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A finished run, live (generation 0) or of a replay.

    `seconds` is how long its nodes took. `waited_seconds` lie, beside them, between what came before it (the event was
    recorded, the attempt before ended) and its commit: for a worker, for a retry to come due, for an operator, for its
    neighbours in one claim. None for the first of a replay, which waited for nobody.
    """

    position: int
    pipeline: str
    generation: int
    attempt: int
    status: ContextStatus
    recorded_at: datetime
    waited_seconds: float | None
    seconds: float
    fingerprint: str
    digest: str
    nodes: Sequence[NodeRun]
    failure: Failure | None


def attempts_of(event: RecordedEvent, rows: Sequence[RecordedContext], *, registry: PipelineRegistry) -> list[Attempt]:
    """The attempts among an event's contexts, in the order they ended. What an operator discarded was no run."""
    ended = {LIVE: event.recorded_at}
    attempts = []
    for row in rows:
        if row.status != "discarded":
            attempts.append(_attempt(row, ended.get(row.generation), registry))
            ended[row.generation] = row.recorded_at
    return attempts


def _attempt(row: RecordedContext, since: datetime | None, registry: PipelineRegistry) -> Attempt:
    context = TaskContext.from_json(row.context)
    run = context.run
    assert run is not None
    seconds = sum(run.seconds.values())
    waited = None if since is None else max(0.0, (row.recorded_at - since).total_seconds() - seconds)
    return Attempt(
        position=row.position,
        pipeline=row.pipeline,
        generation=row.generation,
        attempt=run.attempt,
        status=row.status,
        recorded_at=row.recorded_at,
        waited_seconds=None if waited is None else round(waited, 6),
        seconds=round(seconds, 6),
        fingerprint=row.fingerprint,
        digest=row.digest,
        nodes=_node_runs(row, context, run.seconds, _inner_nodes(row.pipeline, registry)),
        failure=run.failure,
    )


def _inner_nodes(pipeline: str, registry: PipelineRegistry) -> Mapping[str, str]:
    """The node of the pipeline that each node inside one is a part of, by name."""
    nodes = registry.named(pipeline).nodes if pipeline in registry else ()
    return {inner.name: outer.name for outer in nodes for inner in walk(getattr(outer, "nodes", ()))}


def _node_runs(
    row: RecordedContext, context: TaskContext, seconds: Mapping[str, float], inside: Mapping[str, str]
) -> list[NodeRun]:
    """Those of the pipeline itself in order, each before its inner ones; then what no node is known to have made."""
    effects: dict[str, list[DeclaredEffect]] = {}
    for effect in context.effects:
        effects.setdefault(effect.node, []).append(_declared(effect, context, row))
    others = [name for name in dict.fromkeys([*context.outputs, *effects]) if name not in seconds]
    names = []
    for name in seconds:
        names += [name, *(inner for inner in others if inside.get(inner) == name)]
    return [
        NodeRun(
            node=name,
            seconds=seconds.get(name),
            inside=None if name in seconds else inside.get(name),
            made=name in context.outputs,
            output=context.outputs.get(name),
            effects=effects.get(name, []),
        )
        for name in dict.fromkeys([*names, *others])
    ]


def _declared(effect: Effect, context: TaskContext, row: RecordedContext) -> DeclaredEffect:
    target = effect.target if isinstance(effect, Call) else effect.type if isinstance(effect, EmitEvent) else ""
    derived = effect_id(context.event.id, effect, pipeline=row.pipeline, generation=row.generation)
    return DeclaredEffect(effect_id=derived, kind=effect.kind, target=target)
