"""Answers: what the routes send back, spliced from exact JSON where an event's data is in it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import Response
from pydantic_core import to_json, to_jsonable_python

from application.ports.context_log import RecordedContext
from application.ports.event_log import Verdict
from application.ports.task_states import EventFilter
from application.use_cases.tasks import ENDED, Task
from domain.errors import PlayheadError
from domain.events import RecordedEvent
from interfaces.http.errors import problem_of

LOG_ID = "Playhead-Log-Id"
"""The header of a feed that names its log: with another id, positions are those of another log."""


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Any JSON value as a response."""
    return Response(to_json(content), status, dict(headers or {}), media_type="application/json")


def spliced(text: str, headers: Mapping[str, str] | None = None) -> Response:
    """JSON text as a response."""
    return Response(text, headers=dict(headers or {}), media_type="application/json")


def links_of(event_id: str) -> dict[str, str]:
    """Where to go on from an event."""
    return {
        "event": f"/events/{event_id}",
        "contexts": f"/events/{event_id}/contexts",
        "task": f"/tasks/{event_id}",
    }


def accepted(verdict: Verdict, headers: Mapping[str, str] | None = None) -> Response:
    """202: the event is stored; where to follow it."""
    event_id = verdict.event_id
    assert event_id is not None
    content = {
        "event_id": event_id,
        "task_id": event_id,
        "message": f"process_incoming_event started `{event_id}`",
        "links": links_of(event_id),
    }
    return json_response(content, 202, {**_taken(verdict), **(headers or {})})


def ended(verdict: Verdict, task: Task, headers: Mapping[str, str]) -> Response:
    """200: the event is stored, and its task has ended already."""
    return json_response(task_json(task), 200, {**_taken(verdict), **headers})


def _taken(verdict: Verdict) -> dict[str, str]:
    repeated = {"Idempotency-Replayed": "true"} if verdict.repeated else {}
    return {"Location": f"/events/{verdict.event_id}", **repeated}


def task_json(task: Task) -> dict[str, Any]:
    """A task as JSON members."""
    return {**asdict(task), "ready": task.status in ENDED, "links": links_of(task.task_id)}


def batch_answer(outcomes: Iterable[Verdict | PlayheadError], *, atomic: bool) -> Response:
    """One outcome for each item: 202 when all were taken, 422 for a refused atomic batch, 207 otherwise."""
    items = [_item(index, outcome) for index, outcome in enumerate(outcomes)]
    taken = all(item["status"] == 202 for item in items)
    status = 202 if taken else 422 if atomic else 207
    waits = [item["problem"]["retry_after"] for item in items if "retry_after" in item.get("problem", ())]
    return json_response({"items": items}, status, {"Retry-After": str(max(waits))} if waits else None)


def _item(index: int, outcome: Verdict | PlayheadError) -> dict[str, Any]:
    error = outcome if isinstance(outcome, PlayheadError) else outcome.refusal
    if error is not None:
        problem = problem_of(error)
        return {"index": index, "status": problem["status"], "problem": problem}
    assert isinstance(outcome, Verdict)
    return {
        "index": index,
        "status": 202,
        "event_id": outcome.event_id,
        **({"repeated": True} if outcome.repeated else {}),
    }


def event_json(event: RecordedEvent, status: str) -> str:
    """An event with its status, its data to the letter."""
    return f'{{"status":"{status}",{event.json[1:]}'


def events_json(listed: Iterable[tuple[RecordedEvent, str]], next_page: str | None) -> str:
    """A page of events with their statuses."""
    events = ",".join(event_json(event, status) for event, status in listed)
    return f'{{"events":[{events}],"next":{to_json(next_page).decode()}}}'


def link(next_page: str | None, limit: int, wanted: EventFilter, as_of: int | datetime | None) -> dict[str, str]:
    """The header that leads to the next page of a listing (RFC 8288), none on the last."""
    if next_page is None:
        return {}
    given = {**asdict(replace(wanted, last=None)), "as_of": as_of}
    filters = {name: value for name, value in given.items() if value is not None}
    query = urlencode({**to_jsonable_python(filters), "limit": limit, "cursor": next_page})
    return {"Link": f'</events?{query}>; rel="next"'}


def contexts_json(rows: Iterable[RecordedContext]) -> str:
    """The contexts of an event, each as it was stored."""
    contexts = ",".join(
        f'{{"position":{row.position},"status":"{row.status}","recorded_at":{to_json(row.recorded_at).decode()},'
        f'"digest":"{row.digest}","context":{row.context}}}'
        for row in rows
    )
    return f'{{"contexts":[{contexts}]}}'
