"""Words: how text is cut for searching, in the one way that all keepers share."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

BREAK = "¶"
"""Stands between two strings of a document, so that no phrase reaches from one into the next."""

MAX_LENGTH = 100
"""A longer word is cut into words of this length; Elasticsearch would cut it at 255."""

_LETTER, _DIGIT = r"[^\W\d_]", r"\d"
_WORD = re.compile(
    # Scripts without blanks: each character is a word.
    r"[\u3040-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
    rf"|(?:[^\W\u3040-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
    rf"|(?<={_LETTER})['\u2019.](?={_LETTER})|(?<={_DIGIT})[.,](?={_DIGIT}))+"
)


def words(text: str) -> list[str]:
    """The lower-cased words of a text, in order, without stemming.

    The rules are those of Unicode word boundaries (UAX 29) that matter most, as Elasticsearch's analyzer
    `standard` has them: runs of letters, digits and underscores, with `'` and `.` between letters (o'hare) and
    `.` and `,` between digits (3.14) inside.
    """
    found = _WORD.findall(unicodedata.normalize("NFC", text).lower())
    if all(len(word) <= MAX_LENGTH for word in found):
        return found
    return [word[at : at + MAX_LENGTH] for word in found for at in range(0, len(word), MAX_LENGTH)]


def indexed_text(strings: Iterable[str]) -> str:
    """All words of these strings with blanks between them: what a keeper splits at blanks and nowhere else."""
    return f" {BREAK} ".join(map(_joined, strings))


@lru_cache(maxsize=4096)
def _joined(text: str) -> str:
    # Names and codes come again and again.
    return " ".join(words(text))
