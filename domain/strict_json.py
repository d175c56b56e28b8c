"""Strict JSON (RFC 8259): what one reader accepts, every reader understands the same way.

Refused, beyond malformed text: NaN and infinities (also 1e400), numbers of over 400 digits, duplicate names,
lone surrogates, a byte-order mark, any encoding but UTF-8, nesting deeper than 64. Exact text is never changed:
`members` gives each member's value beside the slice it was read from.
"""

import math
import re
from collections.abc import Sequence
from json import JSONDecodeError, JSONDecoder
from json.decoder import scanstring
from typing import Any, NoReturn

from domain.errors import Fault, MalformedJson

MAX_DEPTH = 64
MAX_DIGITS = 400

_SPACE = re.compile(r"[ \t\n\r]*")
_LONG_NUMBER = re.compile(rf"\d{{{MAX_DIGITS + 1}}}")


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
        _malformed(f"The body is not UTF-8: byte {error.start} is invalid. Send JSON in UTF-8.")
    if text.startswith("\ufeff"):
        _malformed("The body begins with a byte-order mark. Send UTF-8 without one.")
    return text


def decode(text: str, *path: str) -> Any:
    """Read a whole text as one JSON value; `path` says where it stands in what was sent.

    Raises:
        MalformedJson: with a pointer to the offending value.
    """
    value, end = _decode_at(text, _skip(text, 0), *path)
    if _skip(text, end) != len(text):
        _malformed(f"There is more text after the JSON value, at character {end}.", path)
    _check(text, value, *path)
    return value


def members(text: str) -> dict[str, tuple[Any, str]]:
    """Read a text that is one JSON object: each member's value, and the exact text it was read from.

    Raises:
        MalformedJson: it is not strict JSON, or not an object.
    """
    found, end = _members_at(text, _skip(text, 0))
    if _skip(text, end) != len(text):
        _malformed(f"There is more text after the JSON object, at character {end}.")
    return found


def elements(text: str) -> list[str]:
    """Read a text that is one JSON array and give each element's exact text, all of them strict JSON.

    Raises:
        MalformedJson: it is not strict JSON, or not an array.
    """
    index = _skip(text, 0)
    if text[index : index + 1] != "[":
        _malformed("The body must be a JSON array.")
    found: list[str] = []
    index = _skip(text, index + 1)
    if text[index : index + 1] == "]":
        index += 1
    else:
        while True:
            value, end = _decode_at(text, index, str(len(found)))
            element = text[index:end]
            _check(element, value, str(len(found)))
            found.append(element)
            index = _skip(text, end)
            separator = text[index : index + 1]
            index = _skip(text, index + 1)
            if separator == "]":
                break
            if separator != ",":
                _malformed(f"Expected ',' or ']' at character {index - 1}.", [str(len(found))])
    if _skip(text, index) != len(text):
        _malformed(f"There is more text after the JSON array, at character {index}.")
    return found


def _members_at(text: str, index: int) -> tuple[dict[str, tuple[Any, str]], int]:
    if text[index : index + 1] != "{":
        # Not an object: say first what is wrong with the text, if anything is.
        decode(text)
        _malformed("Expected a JSON object.")
    found: dict[str, tuple[Any, str]] = {}
    index = _skip(text, index + 1)
    if text[index : index + 1] == "}":
        return found, index + 1
    while True:
        if text[index : index + 1] != '"':
            _malformed(f"Expected a name in double quotes at character {index}.")
        try:
            name, end = scanstring(text, index + 1, True)
        except JSONDecodeError as error:
            _malformed(f"{error.msg} at character {error.pos}.")
        index = _skip(text, end)
        if text[index : index + 1] != ":":
            _malformed(f"Expected ':' at character {index}.", [name])
        index = _skip(text, index + 1)
        if name in found:
            _malformed("The name stands twice in its object.", [name])
        value, end = _decode_at(text, index, name)
        raw = text[index:end]
        _check(raw, value, name)
        found[name] = value, raw
        index = _skip(text, end)
        separator = text[index : index + 1]
        if separator == "}":
            return found, index + 1
        if separator != ",":
            _malformed(f"Expected ',' or '}}' at character {index}.", [name])
        index = _skip(text, index + 1)


def _skip(text: str, index: int) -> int:
    if text[index : index + 1] > " ":
        return index
    match = _SPACE.match(text, index)
    assert match is not None
    return match.end()


def _decode_at(text: str, index: int, *path: str) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, index)
    except (ValueError, RecursionError):
        _explain(text, index, path)
        raise


def _check(raw: str, value: Any, *path: str) -> None:
    """Refuse what the decoder lets pass: depth, very long numbers, lone surrogates. Cheap when there is none."""
    deep = raw.count("{") + raw.count("[") > MAX_DEPTH
    long = len(raw) > MAX_DIGITS and _LONG_NUMBER.search(raw) is not None
    escaped = "\\u" in raw or "\\U" in raw
    if deep or long or (escaped and _has_lone_surrogate(value)):
        _explain(raw, 0, path, must_fail=False)


def _has_lone_surrogate(value: Any) -> bool:
    try:
        repr(value).encode()
        _texts(value).encode()
    except UnicodeEncodeError:
        return True
    return False


def _texts(value: Any) -> str:
    """All strings inside a value, one after the other."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "".join(value) + "".join(map(_texts, value.values()))
    if isinstance(value, list):
        return "".join(map(_texts, value))
    return ""


def _explain(text: str, index: int, path: Sequence[str], *, must_fail: bool = True) -> None:
    """Walk a text that the fast decoder refused, slowly, to raise with a pointer to the place."""
    try:
        _walk(text, index, list(path))
    except JSONDecodeError as error:
        _malformed(f"{error.msg} at character {error.pos}.", path)
    if must_fail:
        _malformed("The text is not valid JSON.", path)


def _walk(text: str, index: int, path: list[str], depth: int = 0) -> int:
    start = text[index : index + 1]
    if depth > MAX_DEPTH:
        _malformed(f"Nested deeper than {MAX_DEPTH} levels.", path[:MAX_DEPTH])
    if start == "{":
        return _walk_object(text, index, path, depth)
    if start == "[":
        return _walk_array(text, index, path, depth)
    try:
        value, end = _LENIENT.raw_decode(text, index)
    except JSONDecodeError as error:
        _malformed(f"{error.msg} at character {error.pos}.", path)
    except ValueError:  # Python refuses to convert integers of thousands of digits
        _malformed(f"A number of more than {MAX_DIGITS} digits.", path)
    raw = text[index:end]
    if isinstance(value, str):
        if _has_lone_surrogate(value):
            _malformed("A string with a lone surrogate, which no UTF-8 text can hold.", path)
    elif _LONG_NUMBER.search(raw):
        _malformed(f"A number of more than {MAX_DIGITS} digits.", path)
    elif isinstance(value, float) and not math.isfinite(value):
        _malformed(f"{raw[:20]} is not a finite number.", path)
    return end


def _walk_object(text: str, index: int, path: list[str], depth: int) -> int:
    names: set[str] = set()
    index = _skip(text, index + 1)
    if text[index : index + 1] == "}":
        return index + 1
    while True:
        if text[index : index + 1] != '"':
            _malformed(f"Expected a name in double quotes at character {index}.", path)
        try:
            name, end = scanstring(text, index + 1, True)
        except JSONDecodeError as error:
            _malformed(f"{error.msg} at character {error.pos}.", path)
        if _has_lone_surrogate(name):
            _malformed("A name with a lone surrogate, which no UTF-8 text can hold.", path)
        if name in names:
            _malformed("The name stands twice in its object.", [*path, name])
        names.add(name)
        index = _skip(text, end)
        if text[index : index + 1] != ":":
            _malformed(f"Expected ':' at character {index}.", [*path, name])
        index = _skip(text, _walk(text, _skip(text, index + 1), [*path, name], depth + 1))
        separator = text[index : index + 1]
        if separator == "}":
            return index + 1
        if separator != ",":
            _malformed(f"Expected ',' or '}}' at character {index}.", path)
        index = _skip(text, index + 1)


def _walk_array(text: str, index: int, path: list[str], depth: int) -> int:
    index = _skip(text, index + 1)
    if text[index : index + 1] == "]":
        return index + 1
    count = 0
    while True:
        index = _skip(text, _walk(text, index, [*path, str(count)], depth + 1))
        count += 1
        separator = text[index : index + 1]
        if separator == "]":
            return index + 1
        if separator != ",":
            _malformed(f"Expected ',' or ']' at character {index}.", path)
        index = _skip(text, index + 1)


def pointer(path: Sequence[str | int]) -> str:
    """Write a path as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _malformed(message: str, path: Sequence[str] = ()) -> NoReturn:
    safe = pointer(path).encode(errors="replace").decode()
    raise MalformedJson(message, faults=[Fault(safe, MalformedJson.code, message)])
