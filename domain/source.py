"""Source: functions, classes and assignments as the parser reads them: without comments, layout and docstrings."""

import ast
import linecache
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType
from typing import Any

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a module: its text in one spelling, and the code that it is compiled to."""

    text: str
    code: CodeType


def of_function(code: CodeType, namespace: Mapping[str, Any]) -> str | None:
    """The text of the function that was compiled to this code; None where its source is not at hand.

    `namespace` is that of its module.
    """
    tree = _tree(code.co_filename, namespace)
    nodes = tree.functions.get((code.co_firstlineno, code.co_name), ()) if tree else ()
    if len(nodes) > 1:  # lambdas on one line
        around = [node for node in nodes if _is_around(node, code)]
        nodes = [min(around, key=_extent)] if around else nodes
    return _joined(nodes)


def of_class(class_: type) -> Statement | None:
    """The statement of a class; None where its source is not at hand."""
    namespace = vars(sys.modules[class_.__module__]) if class_.__module__ in sys.modules else {}
    tree = _tree(namespace.get("__file__") or "", namespace)
    return _statement(tree.classes.get(class_.__qualname__, ()) if tree else ())


def of_assignment(name: str, namespace: Mapping[str, Any]) -> Statement | None:
    """What a module's own statements assign to a name; None where they do not, or its source is not at hand."""
    tree = _tree(namespace.get("__file__") or "", namespace)
    return _statement(tree.assignments.get(name, ()) if tree else ())


def of_code(code: CodeType) -> str:
    """Compiled code as text: what stands for a source that is not at hand. Equal for equal versions of Python alone."""
    constants = [of_code(each) if isinstance(each, CodeType) else _constant(each) for each in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {constants}"


def forget() -> None:
    """Let go of what was parsed."""
    _parsed.cache_clear()


def _constant(value: object) -> str:
    return str(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


@dataclass(slots=True)
class _Tree:
    """What stands where in a module."""

    functions: dict[tuple[int, str], list[_Function]] = field(default_factory=dict)
    """By the first line, that of decorators included, and the name: as compiled code has them."""
    classes: dict[str, list[ast.stmt]] = field(default_factory=dict)
    assignments: dict[str, list[ast.stmt]] = field(default_factory=dict)

    def add(self, node: ast.AST, scope: str = "", *, top: bool = True) -> None:
        """Note what stands inside a node; `scope` is how qualified names begin there, `top` the module's own level."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _Function):
                name = "<lambda>" if isinstance(child, ast.Lambda) else child.name
                self.functions.setdefault((_first_line(child), name), []).append(child)
                self.add(child, f"{scope}{name}.<locals>.", top=False)
            elif isinstance(child, ast.ClassDef):
                self.classes.setdefault(scope + child.name, []).append(child)
                self.add(child, f"{scope}{child.name}.", top=False)
            else:
                if top and isinstance(child, ast.Assign | ast.AnnAssign | ast.AugAssign):
                    for name in _assigned(child):
                        self.assignments.setdefault(name, []).append(child)
                self.add(child, scope, top=top)


def _tree(filename: str, namespace: Mapping[str, Any]) -> _Tree | None:
    linecache.checkcache(filename)
    return _parsed("".join(linecache.getlines(filename, dict(namespace)))) if filename else None


@lru_cache(maxsize=256)
def _parsed(text: str) -> _Tree | None:
    tree = _Tree()
    try:
        tree.add(ast.parse(text))
    except (SyntaxError, ValueError):
        return None
    return tree


def _first_line(node: _Function) -> int:
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return min(each.lineno for each in (node, *decorators))


def _assigned(statement: ast.Assign | ast.AnnAssign | ast.AugAssign) -> Iterator[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    for target in targets:
        yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def _is_around(node: _Function, code: CodeType) -> bool:
    begin, end = _span(node)
    places = [place for place in code.co_positions() if None not in place and place[3]]
    return bool(places) and all(begin <= (line, column) <= end for line, _, column, _ in places)


def _extent(node: _Function) -> tuple[int, int]:
    begin, end = _span(node)
    return end[0] - begin[0], end[1] - begin[1]


def _span(node: _Function) -> tuple[tuple[int, int], tuple[int, int]]:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def _joined(nodes: Iterable[ast.AST]) -> str | None:
    return "; ".join(map(_written, nodes)) or None


def _statement(nodes: Iterable[ast.stmt]) -> Statement | None:
    text = _joined(nodes)
    if text is None:
        return None
    return Statement(text, compile(ast.Module([*nodes], []), "<statement>", "exec", dont_inherit=True))


def _written(node: Any) -> str:
    """A tree as text. It leaves out what is empty, so that a field that a later Python adds changes nothing."""
    if isinstance(node, ast.AST):
        members = ((name, value) for name, value in ast.iter_fields(node) if name not in {"ctx", "kind"})
        inner = (f"{name}={_written(value)}" for name, value in members if value is not None and value != [])
        return f"{type(node).__name__}({', '.join(inner)})"
    if isinstance(node, list):
        return f"[{', '.join(_written(each) for each in node if not _is_text_alone(each))}]"
    return repr(node)


def _is_text_alone(node: Any) -> bool:
    """Whether a statement is a text and nothing else: a docstring, or one of an attribute."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
