"""Masking: the one place that knows what a secret looks like, so that no line, answer or context shows one."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

MASK = "***"
MIN_LENGTH = 6
"""Shorter values are covered in URLs alone: wherever else they stood, they would make lines unreadable."""

_URL = re.compile(
    r"(?P<scheme>[a-zA-Z][\w+.-]*://)(?P<user>[^\s:/@\"']*):(?P<password>[^\s\"']*)@(?P<rest>[^\s;,\"']*)"
)
_PARAMETER = re.compile(
    r"(?P<name>(?:^|[?&;\s])(?:[\w.-]*(?:password|passwd|pwd|secret|token|api_?key))=)(?P<value>[^&;\s\"']+)",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(r"(://[^\s:/@\"'<>]*:)[^\s/\"'<>]*@")
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE)
_OWN_KEY = re.compile(r"\b(ph_[0-9a-f]{10}_)([\w-]{20,})")

Mask = Callable[[str], str]


def mask_of(secrets: Iterable[str], public: Iterable[str] = ()) -> Mask:
    """A function that covers these secrets in a text, in the spellings that they may have there.

    Covered as well is whatever looks like credentials: in URLs, in their parameters, after `Bearer`, and our own keys.
    What is also in `public` is none: a password that is the user's name, say, or the index's.
    """
    known = {secret for secret in secrets if len(secret) >= MIN_LENGTH} - set(public)
    spellings = {spelling for secret in known for spelling in _spellings(secret)}
    # The longest first: a secret may begin with another.
    values = re.compile("|".join(map(re.escape, sorted(spellings, key=len, reverse=True)))) if spellings else None

    def mask(text: str) -> str:
        if values is not None:
            text = values.sub(MASK, text)
        if "://" in text:
            text = _CREDENTIALS.sub(rf"\1{MASK}@", text)
        text = _PARAMETER.sub(rf"\g<name>{MASK}", text)
        text = _BEARER.sub(rf"\1 {MASK}", text)
        return _OWN_KEY.sub(rf"\1{MASK}", text)

    return mask


mask_patterns: Mask = mask_of(())
"""Covers what looks like credentials, where no settings say which there are."""


def mask_of_values(values: Mapping[str, Any], whole: Collection[str]) -> Mask:
    """What covers the secrets of settings: those named in `whole`, and the passwords in the URLs of the others."""
    named = {text for name in whole for text in _texts(values.get(name))}
    others = {text for name, value in values.items() if name not in whole for text in _texts(value)}
    in_urls = {secret for text in others for secret in secrets_in(text)}
    in_keys = {key[2] for text in named for key in _OWN_KEY.finditer(text)}
    return mask_of(named | in_urls | in_keys, public={*others, *(word for text in others for word in public_in(text))})


def masked(value: Any, mask: Mask, *, whole: bool = False) -> Any:
    """A JSON value with every text in it masked; with `whole`, covered from end to end."""
    if isinstance(value, str):
        return mask(value) if not whole else MASK if value else value
    if isinstance(value, dict):
        return {name: masked(inner, mask, whole=whole) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, mask, whole=whole) for inner in value]
    return value


def secrets_in(text: str) -> set[str]:
    """The passwords that the URLs of a setting hold, as written and as they are meant."""
    found = set()
    for part in re.split(r"[;,\s]+(?=[a-zA-Z][\w+.-]*://)", text):
        if url := _URL.search(part):
            found.add(url["password"])
        found.update(parameter["value"] for parameter in _PARAMETER.finditer(part))
    return {spelling for secret in found if secret for spelling in (secret, unquote(secret))}


def public_in(text: str) -> set[str]:
    """What the URLs of a setting hold beside their passwords, by words: user, host, path."""
    return {
        word
        for url in _URL.finditer(text)
        for word in [url["user"], *re.split(r"[/:?&=]+", url["rest"].partition("?")[0])]
        if word
    }


def _spellings(secret: str) -> set[str]:
    """A secret as it is, in a URL, in JSON, and in Python's own notation."""
    return {
        secret,
        quote(secret, safe=""),
        quote(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    }


def _texts(value: Any) -> Iterator[str]:
    """Every text in a setting's value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
