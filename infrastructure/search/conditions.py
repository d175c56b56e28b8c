"""Conditions: what a query asks of a document, as values that each keeper turns into its own language.

Strings, numbers and booleans are themselves; a date is the milliseconds since 1970, and is only ever asked for
by `Between`. A document that lacks the field does not fit a condition on it, and fits its `Not`. Of a field with
several values, one that fits is enough.
"""

from collections.abc import Iterator
from dataclasses import dataclass

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Everything:
    """Fits every document."""


@dataclass(frozen=True, slots=True)
class Words:
    """These words follow each other in the text; with `prefix`, the last is only the beginning of a word."""

    words: tuple[str, ...]
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The field has one of these values."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a range; an open end leaves its value out."""

    value: Value
    open: bool = False


@dataclass(frozen=True, slots=True)
class Between:
    """The field has a value in the range; None: no end. Strings compare by code points."""

    field: str
    low: Bound | None = None
    high: Bound | None = None


@dataclass(frozen=True, slots=True)
class Like:
    r"""A keyword fits a pattern: `*` any characters, `?` one, `\` takes the next character as it is."""

    field: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value."""

    field: str


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    part: "Condition"


@dataclass(frozen=True, slots=True)
class All:
    """Each condition holds."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one condition holds."""

    parts: tuple["Condition", ...]


Condition = Everything | Words | AnyOf | Between | Like | Exists | Not | All | Either


def asked_words(condition: Condition) -> Iterator[Words]:
    """The words that make a document fit, for relevance: those below a `Not` do not."""
    match condition:
        case Words():
            yield condition
        case All(parts) | Either(parts):
            for part in parts:
                yield from asked_words(part)


def pattern_parts(pattern: str) -> Iterator[tuple[str, bool]]:
    """The characters of a pattern, each with whether it is a wildcard."""
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            yield next(characters, ""), False
        else:
            yield character, character in "*?"
