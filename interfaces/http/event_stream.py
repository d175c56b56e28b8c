"""GET /events as server-sent events (WHATWG HTML, section 9.2): one stream a request, from a position on."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from anyio import CapacityLimiter, to_thread
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from application.feed import Feed, Page
from application.subscription import Selection
from domain.errors import InvalidRequest, Unavailable
from domain.events import RecordedEvent

MEDIA_TYPE = "text/event-stream"
KEEP_ALIVE_SECONDS = 15.0
"""After how long without an event a comment is sent, so that nothing on the way takes the line for dead."""
LOOK_SECONDS = 5.0
"""How often it is asked whether the reader's key is good still."""
STALL_SECONDS = 60.0
"""How long a reader may take nothing before its stream is ended."""
RETRY_MILLISECONDS = 2_000
"""After how long a browser is to come again."""

_LINE_ENDS = re.compile(r"\r\n|\r|\n")
_READING = CapacityLimiter(4)
"""Streams that read the log at the same time, so that they leave threads for other requests."""
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def wants_stream(accept: str) -> bool:
    """Whether a client accepts a stream, and so asks for one."""
    return any(each.partition(";")[0].strip().lower() == MEDIA_TYPE for each in accept.split(","))


def position_after(last_event_id: str | None, after: int | None) -> int | None:
    """Where a stream goes on: at the last event that the client says it has, else where it asks to begin.

    Raises:
        InvalidRequest: the id is none that a stream gave.
    """
    if not last_event_id:
        return after
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19):
        raise InvalidRequest("Last-Event-ID is the position of an event: a whole number.")
    return int(last_event_id)


class EventStream(StreamingResponse):
    """The events past a position, one after the other, until the client leaves or the service stops."""

    media_type = MEDIA_TYPE

    def __init__(
        self, feed: Feed, selection: Selection, *, admit: Callable[[], Awaitable[None]], log_id: dict[str, str]
    ) -> None:
        """The reader was let into the feed, and leaves it when the stream ends. `admit` raises when it may not read."""
        super().__init__(_frames(feed, selection, admit), headers={**_HEADERS, **log_id})
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def patiently(message: Message) -> None:
            async with asyncio.timeout(STALL_SECONDS):
                await send(message)

        try:
            # Who takes nothing for so long is left; the server then closes the connection.
            with suppress(TimeoutError):
                await super().__call__(scope, receive, patiently)
        finally:
            self._feed.leave()


async def _frames(feed: Feed, selection: Selection, admit: Callable[[], Awaitable[None]]) -> AsyncIterator[str]:
    now = asyncio.get_running_loop().time
    sent = looked = now()
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    while not feed.closed:
        page = await _next_page(feed, selection)
        for event in page.events:
            yield frame(event)
            sent = now()
        selection = replace(selection, after=page.position)
        if now() - looked >= LOOK_SECONDS:
            # An answer that has begun cannot become a refusal: it ends.
            try:
                await admit()
            except Unavailable:
                pass
            except Exception:  # noqa: BLE001  # whatever the reason is, it may read no more
                return
            looked = now()
        if now() - sent >= KEEP_ALIVE_SECONDS:
            yield ": keep-alive\n\n"
            sent = now()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(feed.beyond(page.position)), LOOK_SECONDS)


async def _next_page(feed: Feed, selection: Selection) -> Page:
    page = feed.recent(selection)
    if page is not None:
        return page
    try:
        return await to_thread.run_sync(feed.read, selection, limiter=_READING)
    except Unavailable:
        await asyncio.sleep(1.0)
        return Page((), selection.after)


def frame(event: RecordedEvent) -> str:
    """An event of the log as one of a stream. A line end between its data's values arrives as a plain one."""
    data = "\n".join(f"data: {line}" for line in _LINE_ENDS.split(event.json))
    return f"id: {event.position}\nevent: {event.type}\n{data}\n\n"
