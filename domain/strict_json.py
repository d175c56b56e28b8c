"""Strict JSON (RFC 8259): what one reader accepts, every reader understands the same way.

Refused, beyond malformed text: NaN and infinities (also 1e400), numbers of over 400 digits, duplicate names,
lone surrogates, a byte-order mark, any encoding but UTF-8, nesting deeper than 64. Exact text is never changed:
`members` and `elements` give the slices that values are read from.

Good text is read by jiter and cut by msgspec; `json_faults` says where bad text is bad.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from json import JSONDecoder
from typing import Any, NoReturn

from jiter import from_json
from msgspec import DecodeError, Raw
from msgspec.json import Decoder

from domain.errors import TooLarge
from domain.json_faults import MAX_DEPTH, explain, malformed, skip, walk

_BLANKS = " \t\n\r"
_FOLDED = bytes.maketrans(b"123456789+E[", b"0000000000e{")
_MANY_DIGITS = b"0" * 209
"""A number with fewer digits, and an exponent of two at the most, is one that a double holds."""
_HUGE = re.compile(r"(?:^|[\[:,\s])-?\d[\d.]*[eE]\+?\d{3}")
"""A number that may be larger than any double."""
_LENIENT = JSONDecoder()
_MEMBERS = Decoder(dict[str, Raw])
_ELEMENTS = Decoder(list[Raw])
_COUNTER = JSONDecoder(strict=False, parse_int=float)
_COMMAS = 8
"""An element's, on average. Where there are more, there may be millions of small elements: they are counted first."""


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
    return _read(text, path, MAX_DEPTH)


def members(text: str) -> tuple[dict[str, Any], Callable[[str], str]]:
    """Read a text that is one JSON object: its members, and what gives the exact text that one of them was read from.

    Raises:
        MalformedJson: it is not strict JSON, or not an object.
    """
    is_object = text.lstrip(_BLANKS).startswith("{")
    found = _read(text, (), MAX_DEPTH + is_object)
    if not is_object:
        malformed("Expected a JSON object.")
    return found, lambda name: str(_MEMBERS.decode(text)[name], "utf-8")


def elements(text: str, most: int | None = None) -> list[str]:
    """Cut a text that is one JSON array: each element's exact text, which is JSON, and may not be as strict as we are.

    Raises:
        MalformedJson: it is not JSON, or not an array.
        TooLarge: it has more than `most` elements.
    """
    if not text.lstrip(_BLANKS).startswith("["):
        malformed("The body must be a JSON array.")
    try:
        if most is not None and text.count(",") > most * _COMMAS:
            deque(_places(text, most, _COUNTER), maxlen=0)  # it is walked for its refusals alone
        raws = _ELEMENTS.decode(text)
        _require_at_most(most, len(raws))
        return [str(raw, "utf-8") for raw in raws]
    except (ValueError, DecodeError, RecursionError):
        _explain_array(text, most)


def _read(text: str, path: Sequence[str], levels: int) -> Any:
    """Read a text as one value, in which so many levels of objects and arrays may stand in each other."""
    try:
        raw = text.encode()
        value = from_json(raw, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys")
    except ValueError:
        explain(text, skip(text, 0), path, levels)
    # What the parser lets pass: too many levels, too many digits, and numbers that no double holds. Where there is none
    # of it, as almost always, that is cheap to see with all brackets, all digits and signs, all exponents folded.
    folded = raw.translate(_FOLDED)
    if (
        _MANY_DIGITS in folded
        or (folded.count(b"{") > levels and _is_deeper(value, levels))
        or (b"e000" in folded and _HUGE.search(text))
    ):
        walk(text, skip(text, 0), path, levels)
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return False
    return levels == 0 or any(_is_deeper(inner, levels - 1) for inner in value)


def _require_at_most(most: int | None, found: int) -> None:
    if most is not None and found > most:
        raise TooLarge(f"The array has more than {most:,} elements. Send them in parts.")


def _places(text: str, most: int | None, decoder: JSONDecoder) -> Iterator[tuple[int, int]]:
    """Where each element of an array begins and ends, one by one, so that no more than one of them is held.

    Raises:
        MalformedJson: one is no JSON to this decoder, or the text is not one array.
        TooLarge: there are more than `most`; those behind are not looked at.
    """
    index, number = skip(text, text.index("[") + 1), 0
    while not (number == 0 and text.startswith("]", index)):
        try:
            _, end = decoder.raw_decode(text, index)
        except (ValueError, RecursionError):
            explain(text, index, [str(number)], MAX_DEPTH + 1)
        yield index, end
        number, end = number + 1, skip(text, end)
        _require_at_most(most, number)
        if text.startswith("]", end):
            index = end
            break
        if not text.startswith(",", end):
            malformed(f"Expected ',' or ']' at character {end}.", [str(number)])
        index = skip(text, end + 1)
    rest = skip(text, index + 1)
    if rest < len(text):
        malformed(f"There is more text after the JSON array, at character {rest}.")


def _explain_array(text: str, most: int | None) -> NoReturn:
    """Walk an array that is none, to raise with a pointer to the place; fast over the elements that are good."""
    for number, (begin, end) in enumerate(_places(text, most, _LENIENT)):
        _read(text[begin:end], [str(number)], MAX_DEPTH + 1)
    malformed("The array is not strict JSON.")
