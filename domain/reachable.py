"""Reachable code: every function, class and constant of a user's packages that a value leads to, and a digest of each.

What is followed: the global names that a function's code loads, attributes of the packages' modules, imports inside
functions, closures and defaults, what decorators and `functools` wrap, the statement of a class with its bases. What
leads elsewhere counts by its name alone: libraries are not seen.
"""

import hashlib
import operator
import re
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import cached_property, partial, partialmethod
from inspect import getattr_static
from pathlib import PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any, get_args, get_origin
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import Struct, structs
from pydantic import BaseModel, PydanticUserError
from pydantic_core import to_json

from domain import source
from domain.names import names_in, top_of

_PLAIN: tuple[type, ...] = (type(None), bool, int, float, complex, str, bytes, type(...))
_SAID_BY_REPR = (
    date, datetime, time, timedelta, timezone, ZoneInfo, Decimal, Fraction, UUID, range,
    operator.itemgetter, operator.attrgetter, operator.methodcaller,
)  # fmt: skip
_IN_ORDER: tuple[type, ...] = (tuple, list, deque)
_WITHOUT_ORDER: tuple[type, ...] = (set, frozenset)
_MAPPINGS: tuple[type, ...] = (dict, OrderedDict, defaultdict, Counter, MappingProxyType)
_NAMED = (type, FunctionType, BuiltinFunctionType, ModuleType)
_DIGITS = 16


@dataclass(slots=True, kw_only=True)
class Reached:
    """What a value is, as text, and all that it leads to: a digest by kind and name (`function shop.rules.is_late`).

    A `name` is one that stands for a function, class or module which has another name where it is defined.

    `unseen` names constants whose value cannot be written the same way in every process: of those the statement that
    makes them counts.
    """

    text: str = ""
    digests: dict[str, str] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class _Definition:
    """A function, class or constant: its digest, and the keys of the definitions that it leads to."""

    name: str
    holds: object  # keeps the object that the key names alive
    digest: str = ""
    uses: dict[Hashable, None] = field(default_factory=dict)
    unseen: bool = False


def digest_of(text: str) -> str:
    """A short digest of a text."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_DIGITS]


class Reader:
    """Reads code of some packages. What several values lead to is read once."""

    def __init__(self, packages: frozenset[str]) -> None:
        """`packages` are top-level names; modules inside them are followed."""
        self._packages = packages
        self._definitions: dict[Hashable, _Definition] = {}
        self._pending: list[tuple[_Definition, Callable[[Writer], str]]] = []

    def read(self, write: Callable[["Writer"], str], named: Mapping[int, str] | None = None) -> Reached:
        """What `write` writes, with all that it leads to. `named` gives objects, by `id`, a text of their own."""
        root = _Definition(name="", holds=None)
        text = write(Writer(self, root, named or {}))
        while self._pending:
            definition, make = self._pending.pop()
            try:
                definition.digest = digest_of(make(Writer(self, definition, {})))
            except RecursionError:  # a value deeper than a thousand levels
                definition.unseen = True
        reached = Reached(text=text)
        digests: dict[str, set[str]] = {}
        keys = dict(root.uses)
        ahead = [*keys]
        while ahead:
            definition = self._definitions[ahead.pop()]
            digests.setdefault(definition.name, set()).add(definition.digest)
            if definition.unseen:
                reached.unseen.add(definition.name)
            new = definition.uses.keys() - keys.keys()
            keys |= dict.fromkeys(new)
            ahead += new
        # One name may stand for several functions: one in a function that was called twice, two lambdas.
        several = {name: sorted(found) for name, found in sorted(digests.items())}
        reached.digests = {name: one[0] if len(one) == 1 else digest_of(str(one)) for name, one in several.items()}
        return reached

    def owns(self, module: object) -> bool:
        """Whether a module of this name is followed."""
        return isinstance(module, str) and top_of(module) in self._packages

    def define(self, key: Hashable, name: str, holds: object, make: Callable[["Writer"], str]) -> None:
        """Have a definition read, unless it was."""
        if key not in self._definitions:
            self._definitions[key] = _Definition(name=name, holds=holds)
            self._pending.append((self._definitions[key], make))


class Writer:
    """Writes values as texts, equal for equal values in every process, and notes what they lead to."""

    def __init__(self, reader: Reader, definition: _Definition, named: Mapping[int, str]) -> None:
        self._reader = reader
        self._definition = definition
        self._named = named
        self._open: set[int] = set()

    def write(self, value: object) -> str:
        """A value as text."""
        if id(value) in self._named:
            return self._named[id(value)]
        if type(value) in _PLAIN:
            return repr(value)
        if id(value) in self._open:
            return "<again>"
        self._open.add(id(value))
        try:
            return self._inside(value)
        finally:
            self._open.discard(id(value))

    def members(self, value: object, *, without: frozenset[str] = frozenset()) -> str:
        """The type and the state of an object; of a dataclass its fields, but for some."""
        if is_dataclass(value):
            names = [each.name for each in fields(value) if each.name not in without]
            state: object = {name: getattr(value, name) for name in names}
        elif isinstance(value, Struct):
            state = structs.asdict(value)
        elif isinstance(value, BaseModel):
            state = value.__dict__
        else:
            state = object.__getstate__(value)
        base = next((base for base in (*_PLAIN, *_IN_ORDER, *_WITHOUT_ORDER, dict) if isinstance(value, base)), None)
        inherited = "" if base is None else self.write(base(value))
        return f"<{self.write(type(value))} {self.write(state)}{inherited}>"

    def refer(self, namespace: Mapping[str, Any], name: str) -> None:
        """Note what a name of one of the modules stands for."""
        module, value = str(namespace.get("__name__")), namespace[name]
        if name.startswith("__") and name.endswith("__"):
            return
        if self._canonical(value) == f"{module}.{name}":
            self.write(value)
            return
        key = (module, name)
        kind = "name" if isinstance(value, _NAMED) else "constant"
        self._reader.define(key, f"{kind} {module}.{name}", value, lambda writer: writer.assigned(namespace, name))
        self._definition.uses[key] = None

    def _inside(self, value: Any) -> str:  # noqa: C901, PLR0912  # a table of kinds, in the order in which they are told apart
        kind = type(value)
        if kind in _IN_ORDER:
            return f"{kind.__name__}({', '.join(map(self.write, value))})"
        if kind in _WITHOUT_ORDER:
            return f"{kind.__name__}({', '.join(sorted(map(self.write, value)))})"
        if kind in _MAPPINGS:
            made = f" {self.write(value.default_factory)}" if kind is defaultdict else ""
            items = ", ".join(f"{self.write(key)}: {self.write(inner)}" for key, inner in value.items())
            return f"{kind.__name__}({items}{made})"
        if kind in _SAID_BY_REPR:
            return repr(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, ModuleType):
            return self._elsewhere(value.__name__, "")
        if isinstance(value, MethodType):
            return f"<{self.write(value.__func__)} of {self.write(value.__self__)}>"
        if isinstance(value, partial | partialmethod):
            return f"<partial {self.write([value.func, value.args, value.keywords])}>"
        if isinstance(value, staticmethod | classmethod):
            return f"<{kind.__name__} {self.write(value.__func__)}>"
        if isinstance(value, property):
            return f"<property {self.write([value.fget, value.fset, value.fdel])}>"
        if isinstance(value, cached_property):
            return f"<cached_property {self.write(value.func)}>"
        if isinstance(value, Enum):
            return f"<{self.write(kind)} {self.write(value.value)}>"
        if isinstance(value, re.Pattern):
            return f"<pattern {self.write(value.pattern)} {value.flags}>"
        if get_origin(value) is not None:
            return f"<{self.write(get_origin(value))} {self.write(get_args(value))}>"
        if kind.__module__ == "typing":
            return repr(value)
        if (wrapped := getattr_static(value, "__wrapped__", None)) is not None:
            return f"<{self._elsewhere(kind.__module__, kind.__qualname__)} {self.write(wrapped)}>"
        if isinstance(value, BaseModel | Struct) or is_dataclass(value) or self._reader.owns(kind.__module__):
            return self.members(value)
        if callable(value) and isinstance(name := getattr(value, "__qualname__", None), str):
            return self._elsewhere(getattr(value, "__module__", None) or "builtins", name)
        self._definition.unseen = True
        return self._elsewhere(kind.__module__, kind.__qualname__)

    def _canonical(self, value: object) -> str | None:
        """Where a function or class of the packages is defined."""
        if isinstance(value, FunctionType):
            module, name = value.__globals__.get("__name__"), value.__code__.co_qualname
        elif isinstance(value, type):
            module, name = value.__module__, value.__qualname__
        else:
            return None
        return f"{module}.{name}" if self._reader.owns(module) else None

    def _elsewhere(self, module: str, name: str) -> str:
        """What is not followed, by its library and its name: where in a library it stands may change with it."""
        return f"<{top_of(module) if name else module}: {name}>"

    def _function(self, function: FunctionType) -> str:
        name = self._canonical(function)
        if name is None:
            told = self._elsewhere(str(function.__globals__.get("__name__")), function.__code__.co_qualname)
            unseen = self._definition.unseen
            held = self._values(function, defaults=False)
            self._definition.unseen = unseen  # what a library holds on to is its own
            return f"<{told} {held}>"
        key = id(function)
        self._reader.define(key, f"function {name}", function, lambda writer: writer.function_text(function))
        self._definition.uses[key] = None
        return f"<function {name} {self._values(function)}>"

    def function_text(self, function: FunctionType) -> str:
        code, namespace = function.__code__, function.__globals__
        self._follow(code, namespace)
        return f"{source.of_function(code, namespace) or source.of_code(code)} {self._values(function)}"

    def _values(self, function: FunctionType, *, defaults: bool = True) -> str:
        """What a function holds on to: its closure and its defaults, of a library's what it wraps."""
        held = dict(zip(function.__code__.co_freevars, map(_content, function.__closure__ or ()), strict=True))
        values: list[object] = [held]
        values += [function.__defaults__, function.__kwdefaults__] if defaults else [vars(function).get("__wrapped__")]
        return ", ".join(self.write(value) for value in values if value)

    def _class(self, class_: type) -> str:
        name = self._canonical(class_)
        if name is None:
            if issubclass(class_, BaseModel) and class_ is not BaseModel:
                return f"<model {_json_schema(class_)}>"
            return self._elsewhere(class_.__module__, class_.__qualname__)
        key = id(class_)
        self._reader.define(key, f"class {name}", class_, lambda writer: writer.class_text(class_))
        self._definition.uses[key] = None
        return f"<class {name}>"

    def class_text(self, class_: type) -> str:
        statement = source.of_class(class_)
        bases = self.write(class_.__bases__)
        if statement is None:
            members = {name: value for name, value in vars(class_).items() if not name.startswith("__")}
            return f"{_json_schema(class_) if issubclass(class_, BaseModel) else self.write(members)} {bases}"
        self._follow(statement.code, vars(sys.modules[class_.__module__]))
        # What the statement does not show: what its functions hold on to, and functions from elsewhere.
        own = f"{self._canonical(class_)}."
        functions = [each for each in vars(class_).values() if isinstance(each, FunctionType) and _has_file(each)]
        held = [
            self._values(each) if (self._canonical(each) or "").startswith(own) else self.write(each)
            for each in functions
        ]
        types = [each.annotation for each in class_.model_fields.values()] if issubclass(class_, BaseModel) else []
        text = f"{statement.text} {bases} {held} {self.write(types)}"
        self._definition.unseen = False  # what the statement makes is seen by the statement
        return text

    def assigned(self, namespace: Mapping[str, Any], name: str) -> str:
        """A constant: its value; where that cannot be written, or names a place on this machine, what assigns it."""
        value = namespace[name]
        text = self.write(value)
        folder = str(PurePath(namespace.get("__file__") or "/").parent)
        is_place = isinstance(value, PurePath) or (isinstance(value, str) and folder != "/" and folder in value)
        if not is_place and not self._definition.unseen:
            return text
        statement = source.of_assignment(name, namespace)
        if statement is None:
            return text
        self._follow(statement.code, namespace)
        if is_place:
            self._definition.unseen = False
            return statement.text
        return f"{text} {statement.text}"

    def _follow(self, code: CodeType, namespace: Mapping[str, Any]) -> None:
        """Note what a piece of code leads to."""
        for where, name in names_in(code, namespace, self._reader.owns):
            self.refer(where, name)


def _content(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # it is not filled yet
        return None


def _has_file(function: FunctionType) -> bool:
    """Whether somebody wrote it; those that `dataclass` makes have none."""
    return not function.__code__.co_filename.startswith("<")


def _json_schema(model: type[BaseModel]) -> str:
    try:
        return to_json(model.model_json_schema()).decode()
    except (PydanticUserError, NameError):  # a field has no JSON form, or a type that is not there
        return model.__qualname__
