"""Messages: what of a broker's message is believed, which is that it names one thing to look at."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

MAX_BODY = 4096
"""Bytes of a message's body. An id or a name is far shorter."""
_IDS = re.compile(r"[\w.-]{1,100}", re.ASCII)
_EVENT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SUBSCRIPTION = re.compile(r"[\w.:/-]{1,200}", re.ASCII)
_EMBEDDED = {"callbacks", "errbacks", "chain", "chord"}

ARGUMENTS: Mapping[str, tuple[str, re.Pattern[str]]] = {
    "process_incoming_event": ("event_id", _EVENT_ID),
    "ring": ("subscription", _SUBSCRIPTION),
}
"""Each task with its one argument, and what that looks like."""

_HEADERS: Mapping[str, Callable[[Any], bool]] = {
    "id": lambda value: isinstance(value, str) and _IDS.fullmatch(value) is not None,
    "expires": lambda value: value is None or (isinstance(value, str) and len(value) <= 40),
    "retries": lambda value: value in {0, None},
    # A limit would kill the process at work, a time would park the message in it.
    "timelimit": lambda value: value in (None, [None, None]),
    "eta": lambda value: value is None,
    "ignore_result": lambda value: value in {None, True, False},
}
"""The headers that a task's message keeps, and what each may be; the others are taken off."""


def refusal_of(content_type: object, content_encoding: object, headers: object, body: object) -> str | None:
    """Why a message is dropped, in a few words that are safe to log; None where it is one of ours."""
    if content_type != "application/json" or str(content_encoding).lower() not in {"utf-8", "utf8"}:
        return "not JSON in UTF-8"
    if not isinstance(headers, dict) or not isinstance(headers.get("task"), str):
        return "names no task"
    if headers["task"] not in ARGUMENTS:
        return f"a task that is not ours: {headers['task'][:60]!a}"
    wrong = next((name for name, is_right in _HEADERS.items() if not _holds(is_right, headers.get(name))), None)
    if wrong is not None:
        return f"a header that is not right: {wrong}"
    if not isinstance(body, str | bytes) or len(body) > MAX_BODY:
        return "a body that is too large" if isinstance(body, str | bytes) else "no body"
    return _refusal_of_body(headers["task"], body)


def kept_of(headers: Mapping[str, Any]) -> dict[str, Any]:
    """The headers with which a message goes on."""
    return {name: headers.get(name) for name in ("task", *_HEADERS)}


def is_envelope(message: object) -> bool:
    """Whether what lay in a queue of Redis is a message at all."""
    if not isinstance(message, dict) or not isinstance(message.get("properties"), dict):
        return False
    properties = message["properties"]
    info = properties.get("delivery_info")
    return (
        isinstance(message.get("body"), str)
        and isinstance(message.get("headers"), dict)
        and "compression" not in message["headers"]
        and properties.get("body_encoding") in {None, "base64"}
        and isinstance(properties.get("delivery_tag"), str)
        and len(properties["delivery_tag"]) <= 100  # a tag is a UUID
        and isinstance(info, dict)
        and all(isinstance(info.get(name), str) and len(info[name]) <= 200 for name in ("exchange", "routing_key"))
    )


def is_ping(body: object, headers: object) -> bool:
    """Whether a remote command is the only one that is obeyed: to say that one is there."""
    if not isinstance(body, dict) or not isinstance(headers, dict) or body.get("method") != "ping":
        return False
    reply_to, destination = body.get("reply_to"), body.get("destination")
    return (
        not body.get("arguments")
        and body.get("pattern") is None
        and isinstance(headers.get("clock") or 0, int)
        and (destination is None or (isinstance(destination, list) and all(isinstance(d, str) for d in destination)))
        and isinstance(reply_to, dict)
        and all(isinstance(reply_to.get(name), str) for name in ("exchange", "routing_key"))
        and isinstance(body.get("ticket"), str | None)
    )


def _refusal_of_body(task: str, body: str | bytes) -> str | None:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return "a body that is no JSON"
    name, shape = ARGUMENTS[task]
    match content:
        case [[value], {**named}, {**embedded}] if not named:
            pass
        case [[], {**named}, {**embedded}] if list(named) == [name]:
            value = named[name]
        case _:
            return "other arguments than one"
    if any(embedded.values()) or not set(embedded) <= _EMBEDDED:
        return "something to do afterwards"
    if not isinstance(value, str) or not shape.fullmatch(value):
        return f"an argument that is no {name}"
    return None


def _holds(is_right: Callable[[Any], bool], value: object) -> bool:
    try:
        return is_right(value)
    except TypeError:  # what cannot be compared is not right
        return False
