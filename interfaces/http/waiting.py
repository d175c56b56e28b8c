"""`Prefer: wait=N` (RFC 7240): hold a request until its event has ended."""

import asyncio
import re
from contextlib import suppress

from anyio import to_thread

from application.use_cases.tasks import ENDED, get_task
from interfaces.http.dependencies import Api

MAX_SECONDS = 30.0

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?", re.IGNORECASE)


def seconds_to_wait(prefer: str | None) -> float | None:
    """How long a client would wait, None when it would not; at most 30 s."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), MAX_SECONDS) if found else None


async def wait_for_end(event_id: str, position: int, seconds: float, api: Api) -> None:
    """Return when the event has ended, or when the time is over."""
    watched = await to_thread.run_sync(api.follower.watch, position)
    try:
        # It may have ended before it was watched.
        task = await to_thread.run_sync(lambda: get_task(event_id, **api.task_ports()))
        if task.status not in ENDED:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.wrap_future(watched), seconds)
    finally:
        api.follower.forget(position, watched)
