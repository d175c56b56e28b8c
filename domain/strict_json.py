"""Strict JSON (RFC 8259): what one reader accepts, every reader understands the same way.

Refused, beyond malformed text: NaN and infinities (also 1e400), numbers of over 400 digits, duplicate names,
lone surrogates, a byte-order mark, any encoding but UTF-8, nesting deeper than 64. Exact text is never changed:
`members` gives each member's value beside the slice it was read from.

Good text is read by the standard library's decoder; `json_faults` says where bad text is bad.
"""

import math
import re
from collections.abc import Sequence
from json import JSONDecoder
from typing import Any, NoReturn

from domain.errors import TooLarge
from domain.json_faults import LONG_NUMBER, MAX_DEPTH, MAX_DIGITS, explain, has_lone_surrogate, malformed, skip, walk

_SPACE = r"[ \t\n\r]*"
_NAME = rf'{_SPACE}("[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*"){_SPACE}:{_SPACE}'
_END = re.compile(rf"{_SPACE}\Z")
_COMMA = re.compile(rf"{_SPACE},{_SPACE}")
_OBJECT = re.compile(rf"{_SPACE}\{{")
_FIRST_NAME = re.compile(_NAME)
_NEXT_NAME = re.compile(rf"{_SPACE},{_NAME}")
_OBJECT_END = re.compile(rf"{_SPACE}\}}{_SPACE}\Z")
_ARRAY = re.compile(rf"{_SPACE}\[{_SPACE}")
_ARRAY_END = re.compile(rf"{_SPACE}\]")


class _Refused(ValueError):
    """Text that is JSON to Python's decoder and not to us."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Refused
    return members


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _Refused
    return number


def _constant(_: str) -> NoReturn:
    raise _Refused


_DECODER = JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_constant=_constant)
_LENIENT = JSONDecoder()


def text_of(body: bytes) -> str:
    """Decode a body's bytes, which must be UTF-8 without a byte-order mark.

    Raises:
        MalformedJson: it is not.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        malformed(f"The body is not UTF-8: byte {error.start} is invalid. Send JSON in UTF-8.")
    if text.startswith("\ufeff"):
        malformed("The body begins with a byte-order mark. Send UTF-8 without one.")
    return text


def decode(text: str, *path: str) -> Any:
    """Read a whole text as one JSON value; `path` says where it stands in what was sent.

    Raises:
        MalformedJson: with a pointer to the offending value.
    """
    value, end = _decode_at(text, skip(text, 0), path, MAX_DEPTH)
    if not _END.match(text, end):
        malformed(f"There is more text after the JSON value, at character {end}.", path)
    return value


def members(text: str) -> dict[str, tuple[Any, str]]:
    """Read a text that is one JSON object: each member's value, and the exact text it was read from.

    Raises:
        MalformedJson: it is not strict JSON, or not an object.
    """
    opened = _OBJECT.match(text)
    if opened is None:
        # Not an object: say first what is wrong with the text, if anything is.
        decode(text)
        malformed("Expected a JSON object.")
    try:
        found = _members_from(text, opened.end())
    except (ValueError, RecursionError):
        explain(text, opened.end() - 1, (), MAX_DEPTH + 1)
    _check(text, {name: value for name, (value, _) in found.items()}, (), MAX_DEPTH + 1)
    return found


def elements(text: str, most: int | None = None) -> list[str]:
    """Read a text that is one JSON array and give each element's exact text, all of them strict JSON.

    Raises:
        MalformedJson: it is not strict JSON, or not an array.
        TooLarge: it has more than `most` elements; those behind are not looked at.
    """
    opened = _ARRAY.match(text)
    if opened is None:
        malformed("The body must be a JSON array.")
    found: list[str] = []
    begin = end = opened.end()
    while not (closed := _ARRAY_END.match(text, end)):
        if found:
            comma = _COMMA.match(text, end)
            if comma is None:
                malformed(f"Expected ',' or ']' at character {end}.", [str(len(found))])
            begin = comma.end()
        _, end = _decode_at(text, begin, [str(len(found))], MAX_DEPTH + 1)
        found.append(text[begin:end])
        if most is not None and len(found) > most:
            raise TooLarge(f"The array has more than {most:,} elements. Send them in parts.")
    if not _END.match(text, closed.end()):
        malformed(f"There is more text after the JSON array, at character {closed.end()}.")
    return found


def _members_from(text: str, index: int) -> dict[str, tuple[Any, str]]:
    found: dict[str, tuple[Any, str]] = {}
    named = _FIRST_NAME.match(text, index)
    while named:
        begin = named.end()
        name = named[1][1:-1] if "\\" not in named[1] else _LENIENT.decode(named[1])
        value, index = _DECODER.raw_decode(text, begin)
        if name in found:
            raise _Refused
        found[name] = value, text[begin:index]
        named = _NEXT_NAME.match(text, index)
    if not _OBJECT_END.match(text, index):
        raise _Refused
    return found


def _decode_at(text: str, index: int, path: Sequence[str], levels: int) -> tuple[Any, int]:
    try:
        value, end = _DECODER.raw_decode(text, index)
    except (ValueError, RecursionError):
        explain(text, index, path, levels)
    _check(text[index:end], value, path, levels)
    return value, end


def _check(text: str, value: Any, path: Sequence[str], levels: int) -> None:
    """Refuse what the decoder lets pass: depth, very long numbers, lone surrogates. Cheap when there is none."""
    deep = text.count("{") + text.count("[") > levels and _is_deeper(value, levels)
    long = len(text) > MAX_DIGITS and LONG_NUMBER.search(text)
    if deep or long or ("\\u" in text and has_lone_surrogate(value)):
        walk(text, skip(text, 0), path, levels)


def _is_deeper(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return False
    return levels == 0 or any(_is_deeper(inner, levels - 1) for inner in value)
