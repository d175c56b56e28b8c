"""Nodes of general use: routing, parallel branches, and the node that makes a result searchable."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from domain.context import TaskContext
from domain.effects import IndexDocument
from domain.fingerprints import ALTERNATIVES
from domain.pipeline import Node, fold


@dataclass(frozen=True, slots=True)
class Route:
    """Run the nodes of one branch, chosen by a function of the context; the choice is this node's output.

    A choice that has no branch runs `otherwise`; without it the run fails, naming the branches there are.
    """

    name: str
    choose: Callable[[TaskContext], str]
    branches: Mapping[str, tuple[Node, ...]] = field(metadata=ALTERNATIVES)
    otherwise: tuple[Node, ...] | None = field(default=None, metadata=ALTERNATIVES)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes of every branch."""
        return tuple(inner for branch in self.branches.values() for inner in branch) + (self.otherwise or ())

    def __call__(self, context: TaskContext) -> TaskContext:
        choice = self.choose(context)
        branch = self.branches.get(choice, self.otherwise)
        if branch is None:
            raise LookupError(f"no branch {choice!r}; there are {', '.join(map(repr, self.branches))}")
        return fold(branch, context.with_output(self.name, choice))


@dataclass(frozen=True, slots=True)
class Branches:
    """Run several branches on the same context, none seeing another's outputs, and join what they made.

    Outputs and effects come in the order of the branches; the names of the branches are this node's output.
    """

    name: str
    branches: Mapping[str, tuple[Node, ...]]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes of every branch."""
        return tuple(inner for branch in self.branches.values() for inner in branch)

    def __call__(self, context: TaskContext) -> TaskContext:
        outputs: dict[str, Any] = {}
        effects = context.effects
        for branch in self.branches.values():
            made = fold(branch, context)
            outputs |= {name: value for name, value in made.outputs.items() if name not in context.outputs}
            effects += made.effects[len(context.effects) :]
        return TaskContext(
            event=context.event,
            data=context.data,
            outputs={**context.outputs, self.name: list(self.branches), **outputs},
            effects=effects,
        )


@dataclass(frozen=True, slots=True)
class ElasticsearchIndexNode:
    """Declare the document that makes the result searchable; the `index` subscription carries it there."""

    document: Callable[[TaskContext], BaseModel] | None = None
    name: str = field(default="elasticsearch_index", kw_only=True)

    def __call__(self, context: TaskContext) -> TaskContext:
        document = self.document(context).model_dump(mode="json") if self.document else {}
        return context.declare(IndexDocument(document=document))
