"""Bodies: read within limits, and taken apart into the events they hold."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from msgspec import structs
from pydantic import BaseModel, ValidationError

from domain.envelopes import Submission, cloudevent, cloudevent_binary, is_json, is_utf8, plain
from domain.errors import Fault, InvalidEvent, PlayheadError, Slow, TooLarge, UnsupportedMedia
from domain.events import key_faults, refuse
from domain.strict_json import decode, elements, text_of
from interfaces.http.errors import invalid_request

Result = TypeVar("Result")
Model = TypeVar("Model", bound=BaseModel)

MAX_EVENT = 1 << 20
"""Bytes of one event."""
MAX_BODY = 16 << 20
"""Bytes of a batch; and how much of a body that is too large is read before the answer."""
BODY_SECONDS = 60.0
"""How long a body may take to come."""
STALL_SECONDS = 10.0
"""How long nothing of it may come."""
MAX_EVENTS = 50_000
"""Events of a batch. Each has an outcome in the answer, also where it is a few bytes of nonsense."""
SMALL = 1 << 16
"""Bytes of a body that is read within a few milliseconds."""

CLOUDEVENT = "application/cloudevents+json"
CLOUDEVENTS = "application/cloudevents-batch+json"
NDJSON = "application/x-ndjson"
_KEY = "idempotency-key"
_KEY_PLACE = f"/headers/{_KEY}"


async def read_body(request: Request, limit: int) -> bytes:
    """Read a body of at most `limit` bytes.

    One that is larger is read and thrown away up to 16 MiB, so that a client that sends first and reads afterwards
    reads the answer.

    Raises:
        Slow: it does not come in time.
        TooLarge: it is larger.
        UnsupportedMedia: it is compressed.
    """
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise UnsupportedMedia(f"A body with Content-Encoding {encoding[:40]!r} cannot be read. Send it plain.")
    chunks: list[bytes] = []
    size = 0
    now = asyncio.get_running_loop().time
    end = now() + BODY_SECONDS
    try:
        async with asyncio.timeout(STALL_SECONDS) as patience:
            async for chunk in request.stream():
                patience.reschedule(min(now() + STALL_SECONDS, end))
                size += len(chunk)
                if size > MAX_BODY:
                    break
                if size <= limit:
                    chunks.append(chunk)
    except TimeoutError:
        raise Slow(
            f"Of the body {size:,} bytes came, then none for {STALL_SECONDS:.0f} s, or not all within "
            f"{BODY_SECONDS:.0f} s. Send it again."
        ) from None
    if size > limit:
        raise TooLarge(f"The body is larger than {limit:,} bytes.")
    return b"".join(chunks)


def model_in_body(model: type[Model]) -> Callable[[Request], Awaitable[Model]]:
    """A dependency that reads a JSON body as strictly as an event, and validates it.

    It raises `PlayheadError` where the body is too large, not JSON, or not what the model asks for.
    """

    async def read(request: Request) -> Model:
        if not is_json(request.headers.get("content-type", "")):
            raise _unread(request.headers.get("content-type", ""), "application/json")
        content = decode(text_of(await read_body(request, MAX_EVENT)))
        try:
            return model.model_validate(content)
        except ValidationError as error:
            raise invalid_request(error.errors()) from error

    return read


async def beside_the_loop(size: int, work: Callable[[], Result]) -> Result:
    """Do what a body of this size asks for; where that takes long, in a thread, while others are served."""
    return work() if size <= SMALL else await run_in_threadpool(work)


def one_event(headers: Mapping[str, str], body: bytes) -> Submission:
    """Read the one event of a body, in whichever of the three forms it is.

    Raises:
        PlayheadError: as the form's own reader says.
    """
    content_type = headers.get("content-type", "")
    if any(name.startswith("ce-") for name in headers):
        submission = cloudevent_binary(headers, body)
    elif _media_type(content_type) == CLOUDEVENT:
        submission = cloudevent(text_of(body))
    elif is_json(content_type):
        submission = plain(text_of(body))
    else:
        raise _unread(content_type, "application/json", CLOUDEVENT)
    return _with_key(submission, headers.get(_KEY))


def many_events(headers: Mapping[str, str], body: bytes) -> list[Submission | PlayheadError]:
    """Read the events of a batch; one that cannot be read is its own error and nobody else's.

    Raises:
        MalformedJson: the body as a whole is not readable.
        InvalidEvent: the request's key is not usable.
        TooLarge: it holds more than 50,000 events.
        UnsupportedMedia: the content type is none of the three.
    """
    content_type = headers.get("content-type", "")
    media_type = _media_type(content_type)
    read: Callable[[str], Submission]
    if media_type == NDJSON:
        if body.count(b"\n") > MAX_EVENTS:
            raise TooLarge(f"The batch has more than {MAX_EVENTS:,} lines. Send it in parts.")
        texts: Sequence[str] = [line for line in text_of(body).split("\n") if line.strip(" \t\r")]
        read = plain
    elif media_type == CLOUDEVENTS:
        texts, read = elements(text_of(body), MAX_EVENTS), cloudevent
    elif is_json(content_type):
        texts, read = elements(text_of(body), MAX_EVENTS), plain
    else:
        raise _unread(content_type, "application/json", NDJSON, CLOUDEVENTS)
    key = headers.get(_KEY)
    if key is not None:
        _refuse_key(key)  # as it stands: "" is none, though "/0" would be one
    return [_read(read, text, None if key is None else f"{key}/{index}") for index, text in enumerate(texts)]


def _read(read: Callable[[str], Submission], text: str, key: str | None) -> Submission | PlayheadError:
    try:
        if len(text) > MAX_EVENT or len(text.encode()) > MAX_EVENT:
            raise TooLarge(f"The event is larger than {MAX_EVENT:,} bytes.")
        return _with_key(read(text), key)
    except PlayheadError as error:
        return error


def _with_key(submission: Submission, key: str | None) -> Submission:
    """The submission with the key of the request's header, which must not differ from its own (a CloudEvents id)."""
    if key is None:
        return submission
    if submission.key is not None and submission.key != key:
        message = f"The Idempotency-Key {key[:80]!r} is not the event's id {submission.key[:80]!r}. Send one of them."
        raise InvalidEvent(message, faults=[Fault(_KEY_PLACE, "key", message)])
    _refuse_key(key)
    return structs.replace(submission, key=key)


def _refuse_key(key: str) -> None:
    refuse([replace(fault, pointer=_KEY_PLACE) for fault in key_faults(key)])


def _media_type(content_type: str) -> str:
    """The content type without its parameters; empty where it says another charset than UTF-8."""
    return content_type.split(";", 1)[0].strip().lower() if is_utf8(content_type) else ""


def _unread(content_type: str, *read: str) -> UnsupportedMedia:
    said = f"of type {content_type[:100]!r}" if content_type else "without a Content-Type"
    return UnsupportedMedia(f"A body {said} cannot be read. Send {' or '.join(read)}.")
