"""The query language: a Lucene-style text, parsed by luqum and read against the fields there are."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from luqum import tree
from luqum.exceptions import ParseError
from luqum.parser import lexer, parser

from application.ports.search_index import FieldType
from domain.errors import Fault, InvalidQuery
from infrastructure.search.conditions import (
    All,
    AnyOf,
    Between,
    Bound,
    Condition,
    Either,
    Everything,
    Exists,
    Like,
    Not,
    Words,
    pattern_parts,
)
from infrastructure.search.values import TEXT, read_span, read_value
from infrastructure.search.words import words

MAX_LENGTH = 2_000
"""Characters of a query."""
MAX_DEPTH = 20
"""Brackets and operators inside each other; Elasticsearch would stop at 30."""

# luqum reads `-` as "not" and refuses it after `>`; a stand-in keeps negative numbers, and every place, as they are.
_MINUS = "\ue000"
_COMPARED_MINUS = re.compile(r'("(?:[^"\\]|\\.)*")|(?<=[<>])(=?)-(?=[\d.])')
_PLACE = re.compile(r"position (\d+)")
_REFUSED = {
    tree.Regex: "regular expressions",
    tree.Fuzzy: "fuzzy words (~)",
    tree.Proximity: "words in proximity (~)",
    tree.Boost: "weights (^)",
}


def parse(q: str, fields: Mapping[str, FieldType]) -> Condition:
    """What a query asks; bare words look into the text, and all parts must hold unless OR stands between them.

    Raises:
        InvalidQuery: the syntax, a field or a value is not understood; says at which character.
    """
    if len(q) > MAX_LENGTH:
        raise refusal(f"The query has {len(q):,} characters; the limit is {MAX_LENGTH:,}.", "/q", "length")
    if not q.strip():
        return Everything()
    marked = _COMPARED_MINUS.sub(lambda found: found[1] or found[2] + _MINUS, q)
    try:
        # Each call has a lexer of its own: luqum's is not safe under threads.
        item = parser.parse(marked, lexer=lexer.clone())
    except ParseError as error:
        raise _syntax_error(str(error), q) from error
    return _Reader(fields).read(item, None, 0)


def refusal(detail: str, pointer: str, code: str = "query") -> InvalidQuery:
    """An `InvalidQuery` with its one fault."""
    return InvalidQuery(detail, faults=[Fault(pointer, code, detail)])


def known_type(name: str, fields: Mapping[str, FieldType], pointer: str, place: str = "") -> FieldType:
    """The type of a field.

    Raises:
        InvalidQuery: there is no such field; names those there are, the nearest first.
    """
    if name in fields:
        return fields[name]
    near = get_close_matches(name, fields, n=3, cutoff=0.5)
    known = ", ".join([*near, *sorted(fields.keys() - set(near))])
    raise refusal(f"There is no field {name!r}{place}; known are {known}.", pointer, "field")


def compared(field: str, type_: FieldType, limits: Mapping[str, Any]) -> Between:
    """The range of a field within limits, of which gte or gt and lte or lt may be given.

    Raises:
        ValueError: a limit is not a value of the field's type.
    """
    ends: dict[str, Bound] = {}
    for limit, value in limits.items():
        low, inclusive = limit.startswith("g"), limit.endswith("e")
        if type_ == "date":
            # A date covers its whole day: beyond it begins after it, up to it ends with it.
            start, end = read_span(value)
            bound = Bound(start if low == inclusive else end, open=not low)
        else:
            bound = Bound(read_value(value, type_), open=not inclusive)
        ends["low" if low else "high"] = bound
    return Between(field, **ends)


def equal(field: str, type_: FieldType, value: Any) -> Condition:
    """The field has this value; of a date, a moment of the day.

    Raises:
        ValueError: it is not a value of the field's type.
    """
    if type_ == "date":
        return compared(field, type_, {"gte": value, "lte": value})
    return AnyOf(field, (read_value(value, type_),))


class _Reader:
    """Turns luqum's tree into conditions, with the fields at hand."""

    def __init__(self, fields: Mapping[str, FieldType]) -> None:
        self._fields = fields

    def read(self, item: Any, field: str | None, depth: int) -> Condition:
        """`field` is the one that the item is about, None outside of any."""
        if depth > MAX_DEPTH:
            raise refusal(f"The query is nested deeper than {MAX_DEPTH} levels{_at(item)}.", "/q", "depth")
        number = field is not None and self._fields[field] in {"long", "double"}
        match item:
            case tree.BaseOperation():
                parts = tuple(self.read(part, field, depth + 1) for part in item.operands)
                return Either(parts) if isinstance(item, tree.OrOperation) else All(parts)
            case tree.Group() | tree.FieldGroup() | tree.Plus():
                return self.read(item.children[0], field, depth + 1)
            case tree.Not() | tree.Prohibit() if not (number and _is_negative(item)):
                return Not(self.read(item.a, field, depth + 1))
            case tree.SearchField():
                return self._field(item, field, depth)
        if (what := _REFUSED.get(type(item))) is not None:
            raise refusal(f"This language has no {what}{_at(item)}.", "/q", "syntax")
        return self._text(item) if field is None else self._value(item, field)

    def _field(self, item: Any, outer: str | None, depth: int) -> Condition:
        if outer is not None:
            raise refusal(
                f"A field cannot stand inside another ({outer}:{item.name}){_at(item)}; "
                "put a value that holds a colon in quotes.",
                "/q",
                "syntax",
            )
        everything = _is_star(item.expr)
        if item.name == "*" and everything:
            return Everything()
        if item.name == TEXT:
            return self.read(item.expr, None, depth + 1)
        known_type(item.name, self._fields, "/q", _at(item))
        return Exists(item.name) if everything else self.read(item.expr, item.name, depth + 1)

    def _text(self, item: Any) -> Condition:
        if isinstance(item, tree.Range | tree.From | tree.To):
            raise refusal(f"A range needs a field before it{_at(item)}, such as position:[1 TO 10].", "/q", "syntax")
        pattern, prefix = item.value, False
        if isinstance(item, tree.Word):
            if _is_star(item):
                return Everything()
            parts = list(pattern_parts(pattern))
            prefix = parts[-1] == ("*", True)
            if any(wild for _, wild in parts[: len(parts) - prefix]):
                raise refusal(
                    f"A word may end in * but hold no other * or ?{_at(item)}: {pattern[:60]}",
                    "/q",
                    "wildcard",
                )
        found = words(_literal(item).removesuffix("*") if prefix else _literal(item))
        if not found:
            raise refusal(f"There is no word in {pattern[:60]}{_at(item)}.", "/q", "syntax")
        return Words(tuple(found), prefix)

    def _value(self, item: Any, field: str) -> Condition:
        try:
            return _asked_value(item, field, self._fields[field])
        except ValueError as error:
            raise refusal(f"Field {field!r}{_at(item)} {error!s:.300}", "/q", "value") from error


def _asked_value(item: Any, field: str, type_: FieldType) -> Condition:
    """What a field is asked for.

    Raises:
        ValueError: it is not a value of the field's type.
    """
    match item:
        case tree.Range():
            low, high = "gte" if item.include_low else "gt", "lte" if item.include_high else "lt"
            ends = {low: item.low, high: item.high}
            limits = {limit: _literal(end) for limit, end in ends.items() if not _is_star(end)}
        case tree.From():
            limits = {"gte" if item.include else "gt": _literal(item.a)}
        case tree.To():
            limits = {"lte" if item.include else "lt": _literal(item.a)}
        case tree.Word() if any(wild for _, wild in pattern_parts(item.value)):
            if type_ != "keyword":
                raise ValueError(f"is a {type_}; only a keyword takes * and ?.")
            return Like(field, item.value)
        case _:
            return equal(field, type_, _literal(item))
    return compared(field, type_, limits) if limits else Exists(field)


def _is_negative(item: Any) -> bool:
    return isinstance(item, tree.Prohibit) and isinstance(item.a, tree.Word)


def _is_star(item: Any) -> bool:
    return isinstance(item, tree.Word) and item.value == "*"


def _literal(item: Any) -> str:
    """The text that a word, a phrase or a negative number stands for."""
    if isinstance(item, tree.Prohibit):
        return f"-{_literal(item.a)}"
    raw = item.value[1:-1] if isinstance(item, tree.Phrase) else item.value
    return "".join(character for character, _ in pattern_parts(raw)).replace(_MINUS, "-")


def _at(item: Any) -> str:
    while item.pos is None and item.children:
        item = item.children[0]
    return "" if item.pos is None else f" at character {item.pos + 1}"


def _syntax_error(message: str, q: str) -> InvalidQuery:
    found = _PLACE.search(message)
    if found is None:
        return refusal("The query ends too early: a bracket is open, or a part is missing.", "/q", "syntax")
    place = int(found[1])
    rest = q[place : place + 20]
    return refusal(f"The query cannot be read at character {place + 1}: {rest!r} is not expected.", "/q", "syntax")
