"""Fingerprints: what names a pipeline's code, part by part, and which parts differ between two codes.

A part is a node, the nodes' order, a schema, the document. Its digest is over what it is made of (parameters, model,
version) and over all code of the user's packages that it reaches; see `domain.reachable`.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, is_dataclass
from functools import cached_property, partial
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from domain.names import top_of
from domain.reachable import Reached, Reader, Writer, digest_of

if TYPE_CHECKING:
    from domain.pipeline import Node, Pipeline

ALTERNATIVES: Mapping[str, bool] = {"alternatives": True}
"""Metadata of a node's fields whose nodes run only for some outputs: a mapping by output, a tuple for any other."""
_SCHEMA = "schema "
_NOT_THEIRS = frozenset({"domain", "playhead"}) | sys.stdlib_module_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A node by whose output others run: for one of `outputs`; without `among`, for any but these."""

    node: str
    outputs: tuple[Any, ...]
    among: bool = True

    def is_made(self, outputs: Mapping[str, Any]) -> bool:
        """Whether the run with these outputs by node chose so."""
        return self.node in outputs and (outputs[self.node] in self.outputs) == self.among

    def __str__(self) -> str:
        return f"{self.node} is {', '.join(map(str, self.outputs))}" if self.among else f"{self.node} is none of these"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a part of a pipeline is: a digest, and the digest of each function, class and constant that it reaches.

    It has run where all of its `choices` were made.
    """

    digest: str
    reached: Mapping[str, str] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PipelineCode:
    """The code of a pipeline: its parts by name (`node classify`), and the packages whose code is seen.

    `unseen` are constants whose value cannot be written down: of those only the statement that makes them is seen.
    """

    pipeline: str
    parts: Mapping[str, Part]
    packages: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """Names the code: equal for equal code in every process, on every machine."""
        return digest_of(str([self.pipeline, *((name, part.digest) for name, part in self.parts.items())]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A part that differs, and what of it does (`function shop.rules.is_late changed`). It ran where `choices` were."""

    part: str
    details: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()

    def concerns(self, outputs: Mapping[str, Any]) -> bool:
        """Whether the run that had these outputs by node ran the part, or would run it now."""
        return all(choice.is_made(outputs) for choice in self.choices)


def is_read_for(part: str, type_: str) -> bool:
    """Whether a part says anything of events of a type: it is not the schema of another one."""
    return not part.startswith(_SCHEMA) or part == f"{_SCHEMA}{type_}"


def changes(old: PipelineCode, new: PipelineCode) -> Sequence[Change]:
    """What differs between two codes of a pipeline, by part."""
    names = dict.fromkeys((*new.parts, *old.parts))
    return [_change(name, old.parts.get(name), new.parts.get(name)) for name in names if _differ(name, old, new)]


def _differ(name: str, old: PipelineCode, new: PipelineCode) -> bool:
    before, after = old.parts.get(name), new.parts.get(name)
    return before is None or after is None or before.digest != after.digest


def _change(name: str, old: Part | None, new: Part | None) -> Change:
    """How a part has changed. Where it runs is what its old code says: the results are those of that code."""
    if old is None or new is None:
        there = old or new
        assert there is not None
        return Change(part=name, details=("added" if old is None else "removed",), choices=there.choices)
    names = sorted({*old.reached, *new.reached})
    reached = [
        f"{each} {'added' if each not in old.reached else 'removed' if each not in new.reached else 'changed'}"
        for each in names
        if old.reached.get(each) != new.reached.get(each)
    ]
    return Change(part=name, details=tuple(reached) or ("its parameters changed",), choices=old.choices)


def code_of(pipeline: "Pipeline") -> PipelineCode:
    """The code of a pipeline as it is loaded here."""
    packages = {top_of(module) for maker in _makers(pipeline) if isinstance(module := maker.__module__, str)}
    packages -= _NOT_THEIRS
    parts = _Parts(frozenset(packages))
    # What is a part of its own stands as a name in the others.
    named = {id(node): f"<node {node.name}>" for node in _all(pipeline.nodes)}
    if pipeline.document is not None:
        named[id(pipeline.document)] = "<document>"
        parts.add("document", [pipeline.document, pipeline.document_model])
    for type_, schema in sorted(pipeline.schemas.items()):
        parts.add(f"{_SCHEMA}{type_}", [schema.version, schema.model, sorted(schema.upcasters.items())])
    parts.add("order of nodes", [node.name for node in pipeline.nodes])
    parts.add_nodes(pipeline.nodes, named, ())
    return PipelineCode(
        pipeline=pipeline.name,
        parts=parts.found,
        packages=tuple(sorted(packages)),
        unseen=tuple(sorted(parts.unseen)),
    )


class _Parts:
    """Reads the parts of a pipeline, one after the other."""

    def __init__(self, packages: frozenset[str]) -> None:
        self._reader = Reader(packages)
        self.found: dict[str, Part] = {}
        self.unseen: set[str] = set()

    def add(self, name: str, value: object, choices: tuple[Choice, ...] = ()) -> None:
        """Read a part that is what a value is."""
        self._keep(name, self._reader.read(lambda writer: writer.write(value)), choices)

    def add_nodes(self, nodes: Iterable["Node"], named: Mapping[int, str], choices: tuple[Choice, ...]) -> None:
        """Read nodes that run where these choices were made, and those inside them."""
        for node in nodes:
            ways = list(_ways(node))
            without = frozenset(each.name for each in _alternatives(node))
            others = {key: name for key, name in named.items() if key != id(node)}
            reached = self._reader.read(partial(Writer.members, value=node, without=without), others)
            self._keep(f"node {node.name}", reached, choices)
            for choice, inside in ways:
                self.add(f"order of nodes where {choice}", [each.name for each in inside], (*choices, choice))
                self.add_nodes(inside, named, (*choices, choice))
            if not ways:
                self.add_nodes(getattr(node, "nodes", ()), named, choices)

    def _keep(self, name: str, reached: Reached, choices: tuple[Choice, ...]) -> None:
        self.unseen |= reached.unseen
        digest = digest_of(str((reached.text, sorted(reached.digests.items()))))
        self.found[name] = Part(digest=digest, reached=reached.digests, choices=choices)


def _makers(pipeline: "Pipeline") -> Iterator[Any]:
    """The functions and classes that somebody wrote for a pipeline: their packages are the user's."""
    given: list[Any] = [pipeline.document]
    for schema in pipeline.schemas.values():
        given += schema.upcasters.values()
    for node in _all(pipeline.nodes):
        yield type(node)
        if is_dataclass(node):
            given += (getattr(node, each.name) for each in fields(node))
    for value in given:
        function = value.func if isinstance(value, partial) else value
        if isinstance(function, FunctionType | MethodType):
            yield function


def _all(nodes: Iterable[Any]) -> Iterator[Any]:
    for node in nodes:
        yield node
        yield from _all(getattr(node, "nodes", ()))


def _alternatives(node: Any) -> "list[Field[Any]]":
    return [each for each in fields(node) if each.metadata.get("alternatives")] if is_dataclass(node) else []


def _ways(node: Any) -> Iterator[tuple[Choice, Sequence["Node"]]]:
    """The nodes inside a node that run for some of its outputs, each with the choice of these."""
    values = [getattr(node, each.name) for each in _alternatives(node)]
    told = tuple(output for value in values if isinstance(value, Mapping) for output in value)
    for value in values:
        if isinstance(value, Mapping):
            yield from ((Choice(node=node.name, outputs=(output,)), inside) for output, inside in value.items())
        elif value is not None:
            yield Choice(node=node.name, outputs=told, among=False), value
