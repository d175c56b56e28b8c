"""Names: which names of some packages' modules a piece of compiled code uses."""

import dis
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import resolve_name
from itertools import takewhile
from types import CodeType, ModuleType
from typing import Any

_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})

Owns = Callable[[object], bool]
"""Whether a module of this name belongs to the packages."""
Name = tuple[Mapping[str, Any], str]
"""A module's namespace, and a name in it."""


def top_of(module: str) -> str:
    """The top-level package of a module."""
    return module.partition(".")[0]


def names_in(code: CodeType, namespace: Mapping[str, Any], owns: Owns) -> Iterator[Name]:
    """The names of the packages' modules that a piece of code uses, each with its module's namespace."""
    steps = [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]
    stored: set[str] = set()  # names of the body of a class, which come before those of its module
    for place, step in enumerate(steps):
        name = step.argval
        if step.opname == "STORE_NAME":
            stored.add(name)
        elif step.opname in _LOADS and name in namespace and name not in stored:
            path = [each.argval for each in takewhile(lambda each: each.opname in _ATTRIBUTES, steps[place + 1 :])]
            yield from _along(namespace, name, path, owns)
        elif step.opname == "IMPORT_NAME":
            level, listed = (each.argval for each in steps[place - 2 : place])
            package = str(namespace.get("__package__") or "")
            module = resolve_name("." * level + name, package) if level and package else name
            if owns(module):
                yield from _imported(module, listed or (), set(_named(code)), owns)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant, namespace, owns)


def _along(namespace: Mapping[str, Any], name: str, path: list[str], owns: Owns) -> Iterator[Name]:
    """What `name.path` uses: of a module the attribute; all of a module that is used in another way."""
    value = namespace[name]
    if not (isinstance(value, ModuleType) and owns(value.__name__)):
        yield namespace, name
    elif not path:
        yield from ((vars(value), each) for each in vars(value))
    elif path[0] in vars(value):
        yield from _along(vars(value), path[0], path[1:], owns)


def _imported(module: str, listed: Iterable[str], named: set[str], owns: Owns) -> Iterator[Name]:
    """What an import inside a function uses: the names that it lists; of modules the attributes that the code names."""
    inside = _attributes(module)
    whole = [f"{module}.{each}" for each in listed if isinstance(inside.get(each), ModuleType | None)]
    yield from ((inside, each) for each in listed if f"{module}.{each}" not in whole)
    # An import that lists nothing binds the package's name.
    for each in whole if listed else {module, top_of(module)}:
        yield from _used(each, named, owns)


def _used(module: str, named: set[str], owns: Owns) -> Iterator[Name]:
    """The attributes of a module that code may use which has these names; all of them where it computes names."""
    inside = _attributes(module)
    for name, value in inside.items():
        if isinstance(value, ModuleType) and owns(value.__name__):
            if name in named and value.__name__.startswith(f"{module}."):  # downwards, so it ends
                yield from _used(value.__name__, named, owns)
        elif "getattr" in named or name in named:
            yield inside, name


def _attributes(module: str) -> Mapping[str, Any]:
    """What a module has; nothing where it cannot be imported here."""
    try:
        return vars(importlib.import_module(module))
    except Exception:  # noqa: BLE001  # whatever a module raises as it is imported, the function that wants it will say
        return {}


def _named(code: CodeType) -> Iterator[str]:
    """Every name that a piece of code uses beside its variables."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _named(constant)
