"""Pipeline and Node: an ordered fold of pure steps over one event."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any, Literal, Protocol, get_type_hints, runtime_checkable

from pydantic import BaseModel
from pydantic_core import to_json

from domain.context import TaskContext
from domain.errors import InvalidPipeline, PlayheadError
from domain.events import RecordedEvent
from domain.fingerprints import PipelineCode, code_of
from domain.retry import Retry
from domain.schedule import Schedule
from domain.upcasting import Schema

_PIPELINE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_NODE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,99}")
RESERVED = frozenset({"index", "effects"})
"""Names of subscriptions that are not a pipeline's."""
MAX_LANES = 64


@runtime_checkable
class Node(Protocol):
    """A pure step with a stable name: it takes a context and gives a new one, and touches nothing else."""

    @property
    def name(self) -> str:
        """Under this name its output is kept; unique in its pipeline."""
        ...

    def __call__(self, context: TaskContext) -> TaskContext:
        """Make a new context of this one."""
        ...


@dataclass(frozen=True, slots=True)
class FunctionNode:
    """A plain function as a node: what it returns becomes the output under its name.

    A function that returns a context (because it declares effects, say) has it taken as it is.
    """

    name: str
    function: Callable[[TaskContext], Any]

    def __call__(self, context: TaskContext) -> TaskContext:
        result = self.function(context)
        return result if isinstance(result, TaskContext) else context.with_output(self.name, result)


def node(function: Callable[[TaskContext], Any]) -> FunctionNode:
    """Lift a function of a context into a node that is named after it.

    Raises:
        InvalidPipeline: it is an async function.
    """
    if iscoroutinefunction(function) or isasyncgenfunction(function):
        raise InvalidPipeline(f"{function.__name__}() is async: a node computes, and waits for nothing.")
    return FunctionNode(function.__name__, function)


Observer = Callable[[str], None]
"""Told the name of each node as it begins, and the empty name when the last has ended. The domain has no clock."""


class NodeFailed(PlayheadError):
    """A node raised; the cause is what it raised. Holds the context as the node received it."""

    code = "node-failed"

    def __init__(self, node: str, context: TaskContext, cause: Exception) -> None:
        super().__init__(f"Node {node!r} raised {type(cause).__name__}: {cause}")
        self.node = node
        self.context = context


@dataclass(frozen=True)
class Pipeline:
    """What happens to events of some types: a name, a schema for each type, and nodes in order.

    `accepts` maps an event type to its schema (a pydantic model stands for version 1 of itself). `document`
    makes the searchable document of a finished context; the pydantic model that it is annotated to return
    gives the index its fields. `retry` says how often a `TransientError` is tried again.

    Events run in any order, side by side. With `lanes` (at most 64) the events of one subject end in the order in
    which they were accepted, and as many lanes run side by side. In a lane a failed event stands before those that
    follow it: while it is tried again, and with `on_failure="hold"` also when it is dead, until an operator requeues
    or discards it; with "pass" the lane goes on.

    At most `batch` events share a run, None: as the setting says. At most `max_claims` runs are under way at a time,
    over all machines. A run that takes longer than `limit` seconds has its process ended; an event that does so
    alone, three times, is dead. `schedules` send events of the pipeline's types by the clock.

    Raises:
        InvalidPipeline: a name is not usable or stands twice, a number is not positive, a schema or `document` names no
            model, or what stands among the nodes is none.
    """

    name: str
    accepts: Mapping[str, Schema | type[BaseModel]]
    nodes: tuple[Node, ...] = ()
    document: Callable[[TaskContext], BaseModel] | None = None
    retry: Retry = field(default_factory=Retry)
    lanes: int = 0
    on_failure: Literal["hold", "pass"] = "hold"
    batch: int | None = None
    max_claims: int | None = None
    limit: float | None = None
    schedules: tuple[Schedule, ...] = ()

    def __post_init__(self) -> None:
        if not _PIPELINE_NAME.fullmatch(self.name) or self.name in RESERVED:
            raise InvalidPipeline(
                f"{self.name!r} cannot name a pipeline: use lower-case letters, digits and _, "
                f"and not {' or '.join(sorted(RESERVED))}."
            )
        if not self.schemas:
            raise InvalidPipeline(f"Pipeline {self.name!r} accepts no event type.")
        self._require_nodes()
        self._require_policy()
        self._require_schedules()
        names = [inner.name for inner in walk(self.nodes)]
        for name in names:
            if not _NODE_NAME.fullmatch(name):
                raise InvalidPipeline(f"Pipeline {self.name!r}: {name!r} cannot name a node.")
            if names.count(name) > 1:
                raise InvalidPipeline(f"Pipeline {self.name!r} has two nodes called {name!r}.")
        if self.document is not None and self.document_model is None:
            raise InvalidPipeline(
                f"Pipeline {self.name!r}: annotate what {self.document.__name__}() returns with its pydantic model; "
                "the fields of the index are read from it."
            )

    def _require_nodes(self) -> None:
        nodes: object = self.nodes
        if not isinstance(nodes, tuple | list):
            raise InvalidPipeline(f"Pipeline {self.name!r}: nodes is {nodes!r}; write (node,) for one alone.")
        for each in walk(self.nodes):
            found: object = each
            if not isinstance(found, Node):
                raise InvalidPipeline(f"Pipeline {self.name!r}: {found!r} is no node; decorate a function with @node.")

    def _require_policy(self) -> None:
        for name in ("batch", "max_claims", "limit"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InvalidPipeline(f"Pipeline {self.name!r}: {name} is {value}; it must be positive.")
        if not 0 <= self.lanes <= MAX_LANES:
            raise InvalidPipeline(f"Pipeline {self.name!r} has {self.lanes} lanes; it may have 0 to {MAX_LANES}.")
        if self.on_failure not in {"hold", "pass"}:
            raise InvalidPipeline(f"Pipeline {self.name!r}: on_failure is {self.on_failure!r}, not hold or pass.")
        if self.lanes and self.max_claims is not None:
            raise InvalidPipeline(f"Pipeline {self.name!r}: its lanes bound its claims; leave max_claims out.")

    def _require_schedules(self) -> None:
        for schedule in self.schedules:
            told = f"Pipeline {self.name!r}, schedule {schedule.name!r}"
            if schedule.type not in self.accepts:
                raise InvalidPipeline(f"{told}: the pipeline does not accept {schedule.type!r}.")
            try:
                self.read(schedule.type, to_json(schedule.data).decode())
            except (PlayheadError, ValueError) as error:
                raise InvalidPipeline(f"{told}: its data does not fit {schedule.type!r}: {error}") from error

    @cached_property
    def schemas(self) -> Mapping[str, Schema]:
        """The schema of each event type."""
        return {
            type_: schema if isinstance(schema, Schema) else Schema(schema) for type_, schema in self.accepts.items()
        }

    @cached_property
    def document_model(self) -> type[BaseModel] | None:
        """The pydantic model of the documents, None when the pipeline has no own document."""
        try:
            returned = get_type_hints(self.document).get("return") if self.document else None
        except NameError:
            returned = None  # the annotation names something that its module does not have
        return returned if isinstance(returned, type) and issubclass(returned, BaseModel) else None

    def add_node(self, node: Node) -> "Pipeline":
        """A new pipeline with this node at the end; this one stays as it is."""
        return replace(self, nodes=(*self.nodes, node))

    def read(self, type_: str, data: str, version: int | None = None) -> BaseModel:
        """Read data of one of the pipeline's types as today's model; `version` is the schema's that it is of.

        The one way in for every reader: at the door (None: today's version), live, in replays and checks.

        Raises:
            InvalidEvent, NewerSchema, UpcastFailed: see `Schema.read`.
        """
        schema = self.schemas[type_]
        return schema.read(type_, data, schema.version if version is None else version)

    def run(self, event: RecordedEvent, observe: Observer | None = None) -> TaskContext:
        """Fold the nodes over the event.

        Raises:
            InvalidEvent: the stored data does not fit today's schema.
            NewerSchema: the data was written by newer code.
            UpcastFailed: the data is of an older version, and an upcaster raised.
            NodeFailed: a node raised.
        """
        data = self.read(event.type, event.data, event.schema_version)
        context = TaskContext(event=event, data=data)
        context = fold(self.nodes, context, observe)
        if observe is not None:
            observe("")
        return context

    @cached_property
    def code(self) -> PipelineCode:
        """This pipeline's code, part by part, as it was when it was first asked for."""
        return code_of(self)

    @property
    def fingerprint(self) -> str:
        """Names this pipeline's code: nodes, parameters, schemas, document, and all that they reach.

        Equal code has an equal fingerprint on every machine. Libraries that nodes call are not seen.
        """
        return self.code.fingerprint


def fold(nodes: tuple[Node, ...], context: TaskContext, observe: Observer | None = None) -> TaskContext:
    """Run nodes one after the other, each on what the one before made.

    Raises:
        NodeFailed: a node raised.
    """
    for step in nodes:
        if observe is not None:
            observe(step.name)
        before = context.at(step.name)
        try:
            made: object = step(before)
        except NodeFailed:
            raise
        except Exception as error:
            raise NodeFailed(step.name, before, error) from error
        if not isinstance(made, TaskContext):
            wrong = TypeError(f"a node returns a TaskContext, not {type(made).__name__}")
            raise NodeFailed(step.name, before, wrong) from wrong
        context = made
    return context


def walk(nodes: tuple[Node, ...]) -> Iterator[Node]:
    """All nodes in order, those inside other nodes (their `nodes`) after the one they are in."""
    for outer in nodes:
        yield outer
        yield from walk(getattr(outer, "nodes", ()))
