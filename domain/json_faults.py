"""Where bad JSON is bad: a slow walk over a text that `strict_json` refused, up to the first thing that is wrong."""

import math
import re
from collections.abc import Sequence
from json import JSONDecodeError, JSONDecoder
from typing import Any, NoReturn

from domain.errors import Fault, MalformedJson

MAX_DEPTH = 64
"""Objects and arrays in each other. The envelope of an event, and the array of a batch, do not count."""
MAX_DIGITS = 400
MAX_WALK = 2**20
"""Characters of a text that is explained. An event is no longer, and a walk over more would take seconds."""

LONG_NUMBER = re.compile(rf"(?<!\d)\d{{{MAX_DIGITS + 1}}}")

_BLANK = re.compile(r"[ \t\n\r]*")
_LENIENT = JSONDecoder()


def pointer(path: Sequence[str | int]) -> str:
    """Write a path as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def malformed(message: str, path: Sequence[str] = ()) -> NoReturn:
    """Raise `MalformedJson` with one fault, at the place that a path leads to."""
    safe = pointer(path).encode(errors="replace").decode()
    raise MalformedJson(message, faults=[Fault(safe, MalformedJson.code, message)])


def explain(text: str, index: int, path: Sequence[str], levels: int) -> NoReturn:
    """Walk a text that the fast decoder refused, to raise with a pointer to the place."""
    if len(text) - index > MAX_WALK:
        malformed("The text is not strict JSON, and too long to say where.", path)
    end = walk(text, index, path, levels)
    malformed(f"There is more text after the JSON value, at character {end}.", path)


def walk(text: str, index: int, path: Sequence[str], levels: int) -> int:
    """Walk one value, in which `levels` of objects and arrays may stand in each other; where it ends.

    Raises:
        MalformedJson: with a pointer to the first thing that is wrong.
    """
    return _walk(text, index, list(path), levels)


def _walk(text: str, index: int, path: list[str], levels: int) -> int:
    start = text[index : index + 1]
    if start in {"{", "["}:
        if levels == 0:
            malformed(f"Nested deeper than {MAX_DEPTH} levels.", path)
        return (_walk_object if start == "{" else _walk_array)(text, index, path, levels - 1)
    try:
        value, end = _LENIENT.raw_decode(text, index)
    except JSONDecodeError as error:
        malformed(f"{error.msg} at character {error.pos}.", path)
    except ValueError:  # Python refuses to convert integers of thousands of digits
        malformed(f"A number of more than {MAX_DIGITS} digits.", path)
    if isinstance(value, str):
        if has_lone_surrogate(value):
            malformed("A string with a lone surrogate, which no UTF-8 text can hold.", path)
    elif LONG_NUMBER.search(text, index, end):
        malformed(f"A number of more than {MAX_DIGITS} digits.", path)
    elif isinstance(value, float) and not math.isfinite(value):
        malformed(f"{text[index : min(end, index + 20)]} is not a finite number.", path)
    return end


def _walk_object(text: str, index: int, path: list[str], levels: int) -> int:
    names: set[str] = set()
    index = skip(text, index + 1)
    if text[index : index + 1] == "}":
        return index + 1
    while True:
        if text[index : index + 1] != '"':
            malformed(f"Expected a name in double quotes at character {index}.", path)
        try:
            name, end = _LENIENT.raw_decode(text, index)
        except JSONDecodeError as error:
            malformed(f"{error.msg} at character {error.pos}.", path)
        if has_lone_surrogate(name):
            malformed("A name with a lone surrogate, which no UTF-8 text can hold.", path)
        if name in names:
            malformed("The name stands twice in its object.", [*path, name])
        names.add(name)
        index = skip(text, end)
        if text[index : index + 1] != ":":
            malformed(f"Expected ':' at character {index}.", [*path, name])
        index = skip(text, _walk(text, skip(text, index + 1), [*path, name], levels))
        separator = text[index : index + 1]
        if separator == "}":
            return index + 1
        if separator != ",":
            malformed(f"Expected ',' or '}}' at character {index}.", path)
        index = skip(text, index + 1)


def _walk_array(text: str, index: int, path: list[str], levels: int) -> int:
    index = skip(text, index + 1)
    if text[index : index + 1] == "]":
        return index + 1
    count = 0
    while True:
        index = skip(text, _walk(text, index, [*path, str(count)], levels))
        count += 1
        separator = text[index : index + 1]
        if separator == "]":
            return index + 1
        if separator != ",":
            malformed(f"Expected ',' or ']' at character {index}.", path)
        index = skip(text, index + 1)


def has_lone_surrogate(value: Any) -> bool:
    """Whether any string inside a value holds half of a surrogate pair, which no UTF-8 text can."""
    try:
        _texts(value).encode()
    except UnicodeEncodeError:
        return True
    return False


def _texts(value: Any) -> str:
    """All strings inside a value, one after the other."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return " ".join([*value, *map(_texts, value.values())])
    if isinstance(value, list):
        return " ".join(map(_texts, value))
    return ""


def skip(text: str, index: int) -> int:
    """Where the white space that begins here ends."""
    match = _BLANK.match(text, index)
    assert match is not None
    return match.end()
