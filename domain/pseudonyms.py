"""Pseudonyms: another text of the same form for each text, the same one for the same text, by a secret key."""

import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from string import ascii_lowercase, ascii_uppercase, digits

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d\S*)?")
_EMAIL = re.compile(r"([^@\s]+)@([^@\s]+\.[^@\s.]+)")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#]*)(.*)", re.DOTALL)
_RESERVED = "example.org"
"""Nobody's name (RFC 2606)."""
_MAX_WEEKS = 520
_ABROAD = {"upper": "ÄÖÜÅÉØ", "lower": "äöüåéø", "other": "日月火水木金"}


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Makes pseudonyms. Without the key nobody can tell which text one stands for, nor try texts out.

    Letters stay letters of the same case and digits digits, and all else stays as it is, so that length and form do.
    A UUID stays one of its version, an e-mail address and a URL lead to a reserved domain, and a date or an RFC 3339
    time is moved back by whole weeks. Two short texts may meet in one pseudonym.
    """

    key: bytes

    def text(self, text: str, *, weeks: int) -> str:
        """The pseudonym of a text; `weeks` is how far times are moved."""
        if _UUID.fullmatch(text):
            return self.uuid(text)
        if _TIME.fullmatch(text) and (moved := _moved_date(text[:10], weeks)) is not None:
            return moved + text[10:]
        if url := _URL.fullmatch(text):
            return f"{url[1]}{self._host(url[2])}{self._shaped(url[3])}"
        if email := _EMAIL.fullmatch(text):
            return f"{self._shaped(email[1])}@{self._host(email[2])}"
        return self._shaped(text)

    def uuid(self, text: str) -> str:
        """The pseudonym of a UUID: of the same version and variant."""
        random = self._stream(f"uuid {text.lower()}")
        made = "".join(
            character if character == "-" or place in {14, 19} else f"{next(random) & 15:x}"
            for place, character in enumerate(text)
        )
        return made.upper() if text.isupper() else made

    def number(self, number: float) -> float:
        """A number of as many digits, with the same sign."""
        random = self._stream(f"number {number!r}")
        mantissa, e, exponent = repr(number).partition("e")
        made = "".join(_like(character, next(random), first=not place) for place, character in enumerate(mantissa))
        return type(number)(made + e + exponent)

    def weeks(self, whose: str) -> int:
        """By how many weeks the times of somebody's events are moved: 1 to 520, the same for all of them."""
        random = self._stream(f"weeks {whose}")
        return 1 + (next(random) * 256 + next(random)) % _MAX_WEEKS

    def _host(self, authority: str) -> str:
        host = authority.rpartition("@")[2].partition(":")[0].lower()
        return f"{self._shaped(host.partition('.')[0], salt=host)}.{_RESERVED}"

    def _shaped(self, text: str, *, salt: str = "") -> str:
        random = self._stream(f"text {salt} {text}")
        return "".join(_like(character, next(random)) for character in text)

    def _stream(self, seed: str) -> Iterator[int]:
        """Bytes that only the holder of the key can foretell."""
        block = 0
        while True:
            yield from hmac.digest(self.key, f"{block} {seed}".encode(errors="surrogatepass"), hashlib.sha256)
            block += 1


def moved(time: datetime, weeks: int) -> datetime:
    """The time so many weeks before; the same one where there is no such time."""
    try:
        return time - timedelta(weeks=weeks)
    except OverflowError:
        return time


def _moved_date(text: str, weeks: int) -> str | None:
    try:
        return (date.fromisoformat(text) - timedelta(weeks=weeks)).isoformat()
    except (ValueError, OverflowError):
        return None


def _like(character: str, random: int, *, first: bool = False) -> str:
    """A character of the same kind; a number's first digit is 0 as it was, or is not."""
    if first and character == "0":
        return character
    if character.isascii():
        kinds = (ascii_lowercase, ascii_uppercase, digits[1:] if first else digits)
        alphabet = next((each for each in kinds if character in each), character)
    elif character.isalpha():
        alphabet = _ABROAD["upper" if character.isupper() else "lower" if character.islower() else "other"]
    else:
        alphabet = digits if character.isdigit() else character
    return alphabet[random % len(alphabet)]
