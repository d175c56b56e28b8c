"""Effects: the calls that contexts declare are carried out, each step written to the ledger before and after.

At least once, never before the commit that declared them: only what stands in the log of contexts is carried out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from application.effect_history import SCHEDULE, History, histories_of
from application.engine import Batch, Outcome
from application.ports.caller import KEPT_BODY, Answer, Caller, CallResult
from application.ports.claims import MAX_DEATHS
from application.ports.context_log import RecordedContext
from application.ports.dispatcher import Dispatcher
from application.ports.effect_ledger import EffectLedger, NewEntry, Phase
from application.ports.event_log import EventLog
from application.subscription import subscription_with
from application.use_cases.events import UnknownTypes, routed
from domain.context import TaskContext
from domain.effects import Call, effect_id
from domain.errors import InvalidEvent, KeyReused, PermanentError, PlayheadError, UnknownType
from domain.events import MAX_DEPTH, NewEvent, derived_id
from domain.registry import PipelineRegistry
from domain.retry import Retry

EFFECTS = "effects"
"""The name of the subscription that carries out calls."""
MAX_CALLS = 100
"""Calls that one run may declare."""


def carrier_of(generation: int) -> str:
    """The name of the subscription that carries out the calls of a generation; of a replay's, where they are live."""
    return EFFECTS if generation == 0 else f"replay-{generation}-{EFFECTS}"


def validate_calls(context: TaskContext, *, registry: PipelineRegistry, unknown_types: UnknownTypes) -> None:
    """Refuse calls that the run that declares them can know to be wrong.

    Raises:
        PermanentError: too many, or their answers would be too deep.
        UnknownType: no pipeline accepts the type of an answer, and unknown types are refused.
    """
    calls = [effect for effect in context.effects if isinstance(effect, Call)]
    if len(calls) > MAX_CALLS:
        raise PermanentError(f"The run declares {len(calls)} calls; at most {MAX_CALLS} may be.")
    for call in calls:
        if call.answer_type is None:
            continue
        if context.event.depth >= MAX_DEPTH:
            raise PermanentError(f"The answer would be {MAX_DEPTH + 1} steps from its first event: a loop?")
        try:
            routed(call.answer_type, "", registry=registry, unknown_types=unknown_types, validate=False)
        except UnknownType as error:
            raise UnknownType(f"Node {call.node!r} asks for an answer. {error.detail}") from error


@dataclass(frozen=True, slots=True)
class Declared:
    """A call that a context declares, under its id."""

    effect_id: str
    call: Call
    row: RecordedContext
    context: TaskContext

    def entry(self, phase: Phase, attempt: int, detail: Mapping[str, Any] | None = None) -> NewEntry:
        """A step of this call for the ledger."""
        return NewEntry(
            effect_id=self.effect_id,
            context_position=self.row.position,
            event_id=self.context.event.id,
            kind=self.call.kind,
            target=self.call.target,
            attempt=attempt,
            phase=phase,
            detail=detail or {},
        )


def declared_by(row: RecordedContext) -> list[Declared]:
    """The calls of a context, in the order in which they are carried out."""
    context = TaskContext.from_json(row.context)
    return [
        Declared(
            effect_id(context.event.id, effect, pipeline=row.pipeline, generation=row.generation), effect, row, context
        )
        for effect in context.effects
        if isinstance(effect, Call)
    ]


def carry_out(
    batch: Batch,
    *,
    ledger: EffectLedger,
    callers: Mapping[str, Caller],
    events: EventLog,
    dispatcher: Dispatcher,
    registry: PipelineRegistry,
    unknown_types: UnknownTypes = "refuse",
    retry: Retry = SCHEDULE,
) -> Sequence[Outcome]:
    """Carry out what the contexts of a claim declare and the ledger does not have as ended.

    A context goes back until its earliest call is due again; calls that are done stay done.
    """
    sender = _Sender(ledger, callers, events, dispatcher, registry, unknown_types, retry)
    outcomes = []
    for row in batch.rows:
        outcomes.append(_work_off(row, batch, sender))
        batch.done += 1
    return outcomes


def _work_off(row: RecordedContext, batch: Batch, sender: "_Sender") -> Outcome:
    histories = histories_of(sender.ledger.of_contexts([row.position]))
    waits = []
    for declared in declared_by(row):
        history = histories.get(declared.effect_id, History())
        if history.ended:
            continue
        if batch.stopping():
            return Outcome(position=row.position, back="hand_back")
        batch.step = declared.call.kind
        wait = sender.wait_for(history)
        if wait <= 0.0:
            again = sender.send(declared, history)
            if again is None:
                continue
            wait = again
        waits.append(wait)
    return Outcome(position=row.position, back="retry", after=min(waits)) if waits else Outcome(position=row.position)


@dataclass(frozen=True, slots=True)
class _Sender:
    """Makes one attempt of one call, with its two steps in the ledger."""

    ledger: EffectLedger
    callers: Mapping[str, Caller]
    events: EventLog
    dispatcher: Dispatcher
    registry: PipelineRegistry
    unknown_types: UnknownTypes
    retry: Retry

    def wait_for(self, history: History) -> float:
        """Seconds until the effect is due."""
        return (history.due_at - self.ledger.now()).total_seconds() if history.due_at else 0.0

    def send(self, declared: Declared, history: History) -> float | None:
        """Make the next attempt; seconds until the one after it, None where there is none."""
        if history.lost >= MAX_DEATHS:
            why = f"{history.lost} workers died while they made this call."
            self.ledger.write(declared.entry("gave_up", history.attempts, {"error": why}))
            return None
        attempt = history.attempts + 1
        if self.ledger.is_disabled(declared.call.target):
            why = "The endpoint is disabled: it answered 410 (gone). playhead effects enable URL"
            self.ledger.write(declared.entry("disabled", attempt, {"error": why}))
            return None
        if not self.ledger.write(declared.entry("intent", attempt)):
            return 0.0  # another worker, which took this claim meanwhile, is at it
        result = self._call(declared)
        if result.phase == "failed":
            return self._failed(declared, attempt, tried=history.tried + 1, result=result)
        if result.gone:
            self.ledger.switch(declared.call.target, enabled=False, reason=f"effect {declared.effect_id}")
        # The answer first: were the outcome written first, a death in between would lose the answer.
        appended = self._append_answer(declared, result.answer) if result.phase == "done" else {}
        self.ledger.write(declared.entry(result.phase, attempt, _detail(result) | appended))
        return None

    def _call(self, declared: Declared) -> CallResult:
        try:
            return self.callers[declared.call.kind].call(declared.call, effect_id=declared.effect_id)
        except Exception as error:  # noqa: BLE001  # a defect of a caller is a failed attempt, not a dead worker
            return CallResult(phase="failed", error=f"{type(error).__name__}: {error}")

    def _failed(self, declared: Declared, attempt: int, *, tried: int, result: CallResult) -> float | None:
        delay = self.retry.delay(tried, 1.0)
        if delay is None:
            self.ledger.write(declared.entry("gave_up", attempt, _detail(result)))
            return None
        delay = min(max(delay, result.retry_after or 0.0), self.retry.cap)
        self.ledger.write(declared.entry("failed", attempt, _detail(result) | {"retry_in": delay}))
        return delay

    def _append_answer(self, declared: Declared, answer: Answer | None) -> dict[str, Any]:
        """Append the answer as an event; what came of it. Done again, the first answer stands."""
        call, cause = declared.call, declared.context.event
        if call.answer_type is None or answer is None:
            return {}
        answer_id = derived_id(declared.effect_id, "answer")
        data = to_json(
            {
                "effect_id": declared.effect_id,
                "status": answer.status,
                "content_type": answer.content_type,
                "body": answer.body,
            }
        ).decode()
        try:
            route, version = routed(call.answer_type, data, registry=self.registry, unknown_types=self.unknown_types)
        except (UnknownType, InvalidEvent) as error:
            return {"answer_refused": error.detail[:KEPT_BODY]}
        new = NewEvent(
            id=answer_id,
            key=answer_id,
            type=call.answer_type,
            data=data,
            source=declared.row.pipeline,
            subject=cause.subject,
            route=route,
            schema_version=version,
            cause=cause.id,
            depth=cause.depth + 1,
        )
        [verdict] = self.events.append([new])
        refusal: PlayheadError | None = verdict.refusal
        if refusal is not None and not isinstance(refusal, KeyReused):
            return {"answer_refused": refusal.detail[:KEPT_BODY]}
        if (name := subscription_with(new, self.registry)) is not None:
            self.dispatcher.ring(name, event_id=answer_id)
        return {"answer_event": answer_id}


def _detail(result: CallResult) -> dict[str, Any]:
    answer = result.answer
    said = {} if answer is None else {"status": answer.status, "body": answer.body[:KEPT_BODY]}
    return said | ({} if result.error is None else {"error": result.error[:KEPT_BODY]}) | dict(result.detail)
