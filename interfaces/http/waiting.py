"""`Prefer: wait=N` (RFC 7240): hold a request until its event has ended."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from anyio import to_thread

from application.ports.event_log import Verdict
from application.use_cases.tasks import ENDED, Task, get_task
from interfaces.http.dependencies import Api

MAX_SECONDS = 30.0

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?", re.IGNORECASE)


def seconds_to_wait(prefer: Sequence[str]) -> float | None:
    """How long a client would wait by its `Prefer` headers, None when it would not; at most 30 s."""
    found = _WAIT.search(",".join(prefer))
    return min(float(found[1]), MAX_SECONDS) if found else None


async def task_after(verdict: Verdict, seconds: float, api: Api) -> Task:
    """The task of an event that was taken, when it has ended or when the time is over."""
    event_id, position = verdict.event_id, verdict.position
    assert event_id is not None
    assert position is not None
    read = partial(get_task, event_id, **api.task_ports())
    watched = await to_thread.run_sync(api.follower.watch, position)
    try:
        task = await to_thread.run_sync(read)  # it may have ended before it was watched
        if task.status not in ENDED:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.wrap_future(watched), seconds)
            task = await to_thread.run_sync(read)
    finally:
        api.follower.forget(position, watched)
    return task
