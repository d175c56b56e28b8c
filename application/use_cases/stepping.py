"""Stepping: one event through the nodes of a pipeline, forward and back. Nothing is stored."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from typing import Any

from application.ports.event_log import EventLog
from application.use_cases.events import UnknownTypes, get_event
from application.use_cases.processing import Processor
from domain.context import TaskContext
from domain.errors import UnknownType
from domain.events import RecordedEvent
from domain.pipeline import Node, NodeFailed, Pipeline, fold
from domain.registry import PipelineRegistry

Call = Callable[[Node, TaskContext], TaskContext]
"""How a node is run: plainly, or under a debugger."""
Check = Callable[[TaskContext], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepThrough:
    """Step through the run of an event: of the pipeline that would run it live today, or of the named one."""

    event_id: str
    pipeline: str | None = None


def step_through(
    command: StepThrough, *, events: EventLog, registry: PipelineRegistry, unknown_types: UnknownTypes
) -> "Stepper":
    """A stepper that stands before the first node.

    Raises:
        NotFound: there is no such event, or no such pipeline.
        UnknownType: no pipeline, or not the named one, accepts the event's type.
        InvalidEvent: the stored data does not fit today's schema.
        NewerSchema, UpcastFailed: the data cannot be lifted to today's version.
    """
    event = get_event(command.event_id, events=events)
    processor = Processor(registry, unknown_types=unknown_types)
    if command.pipeline is None:
        pipeline = processor.pipeline_of(event)
    else:
        pipeline = registry.named(command.pipeline)
        if event.type not in pipeline.accepts:
            known = ", ".join(pipeline.accepts)
            raise UnknownType(f"Pipeline {pipeline.name!r} accepts {known}, not {event.type!r}.")
    pipeline = registry.prepared(pipeline.name)
    return Stepper(pipeline, event, check=partial(_check, processor, pipeline))


def _check(processor: Processor, pipeline: Pipeline, context: TaskContext) -> None:
    processor.validate_effects(context, pipeline)


def plainly(node: Node, context: TaskContext) -> TaskContext:
    """Run a node, and nothing else."""
    return node(context)


@dataclass(slots=True, kw_only=True)
class Step:
    """A node that was come to: what it is given, and what it made of it once it has ended.

    `inside` counts the nodes that it is a part of. The inner nodes of one that holds others follow it.
    """

    node: Node
    inside: int
    before: TaskContext
    after: TaskContext | None = None


class Stepper:
    """Stands before a node of a run, and goes on or back.

    Nodes are pure, so to stand anywhere is to run the pipeline anew up to there, taking what its nodes made before.
    Only what chooses a branch runs again on the way.
    """

    def __init__(self, pipeline: Pipeline, event: RecordedEvent, *, check: Check = lambda _: None) -> None:
        """`check` raises what is wrong with a finished run.

        Raises:
            InvalidEvent: the stored data does not fit today's schema.
            NewerSchema, UpcastFailed: the data cannot be lifted to today's version.
        """
        self.pipeline = pipeline
        self.failure: BaseException | None = None
        """What the next node raised when it was run; at the end, what `check` did."""
        data = pipeline.read(event.type, event.data, event.schema_version)
        self._start = self._result = TaskContext(event=event, data=data)
        self._check = check
        self._nodes = _watched(pipeline.nodes, 0, self._come_to)
        self._steps: list[Step] = []
        self._made: dict[int, TaskContext] = {}
        self._at = 0
        self._call: Call = plainly
        self._stand_at(0)

    @property
    def upcoming(self) -> Step | None:
        """The step that is next, None at the end."""
        return self._steps[self._at] if self._at < len(self._steps) else None

    @property
    def taken(self) -> Sequence[Step]:
        """The steps before the next one, in the order in which they began."""
        return self._steps[: self._at]

    @property
    def context(self) -> TaskContext:
        """What the next node is given; at the end, what the run made."""
        return self.upcoming.before if self.upcoming is not None else self._result

    def next(self, call: Call = plainly) -> Sequence[Step]:
        """Run the next node, or enter one that holds others; the steps that ended so, inner ones first.

        Where it raises, none did: `failure` says why, and it is next still. So it is after an interrupt by the
        keyboard, which is passed on.
        """
        here, ended = self._at, {number for number, step in enumerate(self._steps) if step.after is not None}
        self._made = {number: made for number, made in self._made.items() if number < here}
        try:
            self._stand_at(here + 1, call)
        except KeyboardInterrupt:
            self._stand_at(here)
            raise
        found = [step for number, step in enumerate(self._steps) if step.after is not None and number not in ended]
        return found[::-1]

    def back(self) -> bool:
        """Stand before the last step again; after a failure, before the node that failed. False at the beginning."""
        failed = self.failure is not None and self.upcoming is not None
        if not failed and self._at == 0:
            return False
        self._stand_at(self._at if failed else self._at - 1)
        return True

    def run(self, breakpoints: Collection[str] = ()) -> Sequence[Step]:
        """Go on to the end, a failure, or a node of one of these names; the steps that ended so."""
        ended: list[Step] = []
        while self.upcoming is not None:
            ended += self.next()
            if self.failure is not None or (self.upcoming is not None and self.upcoming.node.name in breakpoints):
                break
        return ended

    def _stand_at(self, number: int, call: Call = plainly) -> None:
        """Run the pipeline up to the step of this number, or to its end; `call` runs the one before it."""
        self._at, self._call, self._steps, self.failure = number, call, [], None
        try:
            self._result = fold(self._nodes, self._start)
        except _Arrived:
            return
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # a node may raise anything, and ends no more than its run
            self.failure = error.__cause__ if isinstance(error, NodeFailed) else error
            self._at = max(index for index, step in enumerate(self._steps) if step.after is None)
            del self._steps[self._at + 1 :]
            return
        self._at = len(self._steps)
        try:
            self._check(self._result)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is shown
            self.failure = error

    def _come_to(self, node: Node, inside: int, context: TaskContext) -> TaskContext:
        """What stands for every node of the run."""
        number = len(self._steps)
        step = Step(node=node, inside=inside, before=context)
        self._steps.append(step)
        if number == self._at:
            raise _Arrived
        inner = _with_inner_watched(node, inside + 1, self._come_to)
        if inner is None and number in self._made:
            made = self._made[number]
        else:
            made = (self._call if number == self._at - 1 else plainly)(node if inner is None else inner, context)
        if isinstance(made, TaskContext):
            step.after = self._made[number] = made
        return made


class _Arrived(BaseException):
    """The run has come to where it is to stand; no node can catch it by `except Exception`."""


ComeTo = Callable[[Node, int, TaskContext], TaskContext]


@dataclass(frozen=True, slots=True)
class _Watched:
    """Stands for a node in the run of a stepper."""

    node: Node
    inside: int
    come_to: ComeTo

    @property
    def name(self) -> str:
        return self.node.name

    def __call__(self, context: TaskContext) -> TaskContext:
        return self.come_to(self.node, self.inside, context)


def _watched(nodes: Sequence[Node], inside: int, come_to: ComeTo) -> tuple[Node, ...]:
    return tuple(_Watched(node, inside, come_to) for node in nodes)


def _with_inner_watched(node: Node, inside: int, come_to: ComeTo) -> Node | None:
    """A node that holds others as one of its fields, these watched; None for one that does not."""
    outer: Any = node
    inner = {id(each) for each in getattr(outer, "nodes", ())}
    if not inner or not is_dataclass(type(outer)):
        return None

    def watched(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: watched(each) for key, each in value.items()}
        if isinstance(value, tuple) and any(id(each) in inner for each in value):
            return _watched(value, inside, come_to)
        return value

    changed: Node = replace(
        outer, **{each.name: watched(getattr(outer, each.name)) for each in fields(outer) if each.init}
    )
    return changed
