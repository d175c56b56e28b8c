"""A biography for people: what came in, then what became of it in the order of time, then what is so now."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING

from pydantic_core import to_json

from interfaces.cli.output import tell
from interfaces.cli.times import written

if TYPE_CHECKING:
    from application.use_cases.attempts import Attempt, NodeRun
    from application.use_cases.biography import Biography, SchemaReading
    from application.use_cases.causation import Relative
    from application.use_cases.dead_letters import Decision
    from application.use_cases.effect_states import EffectLife

_LONGEST = 400
"""Characters of data that are shown."""
_SOON_SECONDS = 3600
_ORIGINS = {"request": "a request", "schedule": "a schedule", "pipeline": "a pipeline"}


def put_biography(biography: "Biography") -> None:
    """All of it, its secrets covered."""
    task = biography.task
    tell(f"event {biography.event.id}  {task.status}")
    _put_facts(_received(biography))
    happened: list[tuple[datetime, Callable[[], None]]] = [
        *((each.recorded_at, partial(_put_attempt, each)) for each in biography.attempts),
        *((each.at, partial(_put_decision, each)) for each in biography.decisions),
    ]
    for _, put in sorted(happened, key=itemgetter(0)):
        put()
    _put_waiting(biography)
    for life in biography.effects:
        _put_effect(life)
    _put_causation(biography)
    tell()
    for replay in biography.replays:
        promoted = ", promoted" if replay.promoted else ""
        tell(
            f"replay {replay.id}, planned {written(replay.planned_at)}{promoted}: {replay.status or 'not run over it'}"
        )
    index = biography.index
    tell(f"index ({index.backend}): {index.status}{f': {index.detail}' if index.detail else ''}")


def _received(biography: "Biography") -> Mapping[str, str | None]:
    event = biography.event
    return {
        "type": event.type,
        "source": event.source,
        "subject": event.subject,
        "time": written(event.time),
        "recorded": f"{written(event.recorded_at)} at position {event.position:,}, lane {event.lane:,}",
        "sent by": _ORIGINS[biography.origin] + (f", key {event.key}" if event.key else ""),
        "cause": event.cause,
        "pipeline": event.route or "none: unrouted",
        "schema": _schema(biography.schema),
        "data": _short(event.data),
    }


def _schema(reading: "SchemaReading | None") -> str:
    if reading is None:
        return "no loaded pipeline accepts the type"
    told = f"{reading.model}, version {reading.stored}"
    if reading.lifted_by:
        told += f"; read as version {reading.today} by {', '.join(reading.lifted_by)}"
    elif reading.stored > reading.today:
        return f"{told}; this code knows {reading.today}"
    faults = "; ".join(f"{fault.pointer} {fault.message}".strip() for fault in reading.faults)
    return f"{told}; it does not fit: {faults}" if faults else told


def _put_attempt(attempt: "Attempt") -> None:
    kind = "live" if attempt.generation == 0 else f"replay {attempt.generation}"
    waited = "" if attempt.waited_seconds is None else f", after {_seconds(attempt.waited_seconds)}"
    took = f"{attempt.seconds * 1000:.2f} ms"
    tell(
        f"\n{written(attempt.recorded_at)}  attempt {attempt.attempt} ({kind}, {attempt.pipeline}): {attempt.status} "
        f"in {took}{waited}; context {attempt.position:,}, code {attempt.fingerprint}"
    )
    for node in attempt.nodes:
        _put_node(node)
    failure = attempt.failure
    if failure is not None:
        where = f" at {failure.where}" if failure.where else ""
        node_name = f" in node {failure.node}" if failure.node else ""
        tell(f"  failed{node_name}: {failure.type}: {failure.message}{where}")


def _put_node(node: "NodeRun") -> None:
    took = "" if node.seconds is None else f"{node.seconds * 1000:.2f} ms"
    result = f"  → {_short(to_json(node.output).decode())}" if node.made else ""
    effects = [f"{effect.kind} {effect.target}".strip() for effect in node.effects]
    declared = f"  declares {', '.join(effects)}" if effects else ""
    name = f"  {node.node}" if node.inside else node.node
    tell(f"  {name:24} {took:>11}{result}{declared}")


def _put_decision(decision: "Decision") -> None:
    by = f" by {decision.by}" if decision.by else ""
    reason = f": {decision.reason}" if decision.reason else ""
    tell(f"\n{written(decision.at)}  {decision.what}{by}{reason}")


def _put_waiting(biography: "Biography") -> None:
    claim, task = biography.claim, biography.task
    if claim is None:
        if task.status in {"queued", "unrouted"}:
            waited = (biography.now - biography.event.recorded_at).total_seconds()
            tell(f"\n{written(biography.now)}  {task.status} for {_seconds(waited)}")
        return
    left = (claim.available_at - biography.now).total_seconds()
    counts = f"{claim.attempt} runs ended, {claim.deaths} leases lost"
    if task.status == "running":
        tell(f"\n{written(biography.now)}  running at {claim.owner}, leased for {_seconds(left)}; {counts}")
    else:
        soon = f", in {_seconds(left)}" if left < _SOON_SECONDS else ""
        due = f"due {written(claim.available_at)}{soon}" if left > 0 else "due"
        tell(f"\n{written(biography.now)}  {task.status}, {due}; {counts}")


def _put_effect(life: "EffectLife") -> None:
    from interfaces.cli.commands.effects import said, state_line

    tell(f"\n{state_line(life.state)}")
    for step in life.steps:
        words = said(step.detail)
        tell(f"  {written(step.recorded_at)}  attempt {step.attempt}: {step.phase}{f': {words}' if words else ''}")


def _put_causation(biography: "Biography") -> None:
    causation = biography.causation
    if not causation.causes and not causation.caused:
        return
    tell("\ncauses and follow-ups:")
    for relative in causation.causes:
        tell(_relative(relative))
    event = biography.event
    tell(f"  {'  ' * event.depth}{event.id}  {event.type}  this event")
    below: dict[str | None, list[Relative]] = {}
    for relative in causation.caused:
        below.setdefault(relative.cause, []).append(relative)
    _put_below(event.id, below)
    if causation.cut:
        tell(f"  and more: only {len(causation.caused)} are told")


def _put_below(event_id: str, below: "Mapping[str | None, list[Relative]]") -> None:
    for relative in below.get(event_id, []):
        tell(_relative(relative))
        _put_below(relative.event_id, below)


def _relative(relative: "Relative") -> str:
    return f"  {'  ' * relative.depth}{relative.event_id}  {relative.type}  {relative.status}"


def _put_facts(facts: Mapping[str, str | None]) -> None:
    for name, value in facts.items():
        if value:
            tell(f"  {name:10} {value}")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _seconds(value: float) -> str:
    return f"{value * 1000:,.0f} ms" if value < 1 else f"{value:,.1f} s"
