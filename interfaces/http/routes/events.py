"""POST and GET /events."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from application.appending import refusal_of
from application.ports.event_log import Verdict
from application.ports.task_states import EventFilter, TaskStatus
from application.subscription import Selection
from application.use_cases import events as use_cases
from application.use_cases.tasks import ENDED
from application.use_cases.time_travel import Moment, contexts_as_of, list_events_as_of, moment_of
from domain.envelopes import Submission
from domain.errors import (
    AtomicRefused,
    InvalidEvent,
    InvalidRequest,
    Overloaded,
    PlayheadError,
    Unavailable,
    UnknownType,
)
from domain.events import NewEvent, RecordedEvent
from interfaces.http import answers, bodies
from interfaces.http.cursors import cursor_of, position_of
from interfaces.http.dependencies import Api, api
from interfaces.http.documented import BATCH, CONTEXTS, EVENT, EVENTS, EXPLAIN, SUBMIT
from interfaces.http.event_stream import EventStream, position_after, wants_stream
from interfaces.http.fields import MAX_POSITION, AsOf, Name, Time
from interfaces.http.waiting import seconds_to_wait, task_after

router = APIRouter(tags=["events"])
TheApi = Annotated[Api, Depends(api)]
_REFUSED = (InvalidEvent, UnknownType, Overloaded)
"""What a submission under a known key is answered past: as it was answered when it was taken."""


@router.post("/events", status_code=202, **SUBMIT)
async def post_event(request: Request, api: TheApi) -> Response:
    """Store one event and queue its task. 202 after the durable commit; with `Prefer: wait=N`, 200 once it ended."""
    body = await bodies.read_body(request, bodies.MAX_EVENT)
    submission = await bodies.beside_the_loop(len(body), lambda: bodies.one_event(request.headers, body))
    verdict = await _verdict_on(submission, api)
    if verdict.refusal is not None:
        raise verdict.refusal
    request.state.event_id = verdict.event_id
    return await _answer(verdict, seconds_to_wait(request.headers.getlist("prefer")), api)


@router.post("/events/batch", status_code=202, **BATCH)
async def post_events(request: Request, api: TheApi, *, atomic: bool = False) -> Response:
    """Store many events, each with an outcome of its own; `atomic=true`: all or none.

    At most 50,000 events in 16 MiB, 1 MiB each; 1,000 where all or none are stored.
    """
    body = await bodies.read_body(request, bodies.MAX_BODY)
    read = await run_in_threadpool(
        lambda: [_try_accept(item, api) for item in bodies.many_events(request.headers, body)]
    )
    request.state.events = len(read)
    new = [item for item in read if isinstance(item, NewEvent)]
    if atomic and any(isinstance(item, PlayheadError) for item in read):
        verdicts = [Verdict(None, None, refusal=refusal_of(AtomicRefused.code, event, None)) for event in new]
    else:
        verdicts = await asyncio.wrap_future(api.appender.submit(new, atomic=atomic))
    in_order = iter(verdicts)
    outcomes = [next(in_order) if isinstance(item, NewEvent) else item for item in read]
    return await bodies.beside_the_loop(len(body), lambda: answers.batch_answer(outcomes, atomic=atomic))


@router.get("/events", **EVENTS)
def list_events(
    request: Request,
    api: TheApi,
    type: Name = None,  # noqa: A002  # the parameter's name on the wire
    subject: Name = None,
    status: TaskStatus | None = None,
    since: Time = None,
    until: Time = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: str | None = None,
    after: Annotated[int | None, Query(ge=0, le=MAX_POSITION)] = None,
    as_of: AsOf = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Events that fit, newest first, by pages; with `after`, a feed: oldest first from above that position.

    With `Accept: text/event-stream`, a stream of server-sent events without end, from above `Last-Event-ID`, else
    `after`, else from now on; by type, subject, since and until.

    With `as_of`, as it was then: those recorded by a time or up to a position of the log of events, and how far each
    was: succeeded, failed, discarded, unrouted, or open, which is not ended by then.
    """
    wanted = EventFilter(type=type, subject=subject, status=status, since=since, until=until)
    if wants_stream(request.headers.get("accept", "")):
        if status is not None or cursor is not None or as_of is not None:
            raise InvalidRequest("A stream goes on by positions: leave out status, cursor and as_of.")
        return _stream(wanted, position_after(last_event_id, after), request, api)
    if cursor is not None and after is not None:
        raise InvalidRequest("A listing goes on by its cursor, a feed by `after`: send one of them.")
    moment = None if as_of is None else moment_of(as_of, "events", **api.past_ports())
    wanted = replace(wanted, last=None if moment is None else moment.events)
    listed = _listed(wanted, moment, api, limit=limit, before=position_of(cursor, wanted), after=after)
    full = len(listed) == limit
    next_page = cursor_of(listed[-1][0].position, wanted) if full and after is None else None
    headers = answers.link(next_page, limit, wanted, as_of)
    if after is not None:
        headers[answers.LOG_ID] = api.log_ids.of("events")
    return answers.spliced(answers.events_json(listed, next_page), headers)


@router.get("/events/{event_id}", **EVENT)
def get_event(event_id: str, api: TheApi) -> Response:
    """One event with its status, its data to the letter."""
    event = use_cases.get_event(event_id, events=api.events)
    [state] = api.states.of([event])
    return answers.spliced(answers.event_json(event, state.status))


@router.get("/events/{event_id}/contexts", **CONTEXTS)
def get_contexts(event_id: str, api: TheApi, as_of: AsOf = None) -> Response:
    """Every context of an event, newest first: each attempt, live and replayed.

    With `as_of`, those that there were by a time, or up to a position of the log of contexts.
    """
    if as_of is None:
        rows = use_cases.contexts_of(event_id, events=api.events, contexts=api.contexts)
    else:
        rows = contexts_as_of(event_id, as_of, **api.past_ports())
    return answers.spliced(answers.contexts_json(rows))


@router.get("/events/{event_id}/explain", **EXPLAIN)
def explain(event_id: str, api: TheApi) -> Response:
    """An event's biography: how it came, each run node by node, what was decided, what it caused."""
    return answers.spliced(api.biography(event_id).json)


def _stream(wanted: EventFilter, after: int | None, request: Request, api: Api) -> Response:
    log_id = {answers.LOG_ID: api.log_ids.of("events")}
    where = {name: value for name, value in (("type", wanted.type), ("subject", wanted.subject)) if value is not None}
    selection = Selection(where=where, since=wanted.since, until=wanted.until, after=api.feed.join(after))
    return EventStream(api.feed, selection, admit=partial(request.state.guard.admit, request.scope), log_id=log_id)


def _listed(
    wanted: EventFilter, moment: Moment | None, api: Api, *, limit: int, before: int | None, after: int | None
) -> list[tuple[RecordedEvent, str]]:
    if moment is None:
        listed = api.states.find(wanted, limit=limit, before=before, after=after)
        return [(each.event, each.state.status) for each in listed]
    past = list_events_as_of(
        wanted, moment, limit=limit, before=before, after=after, states=api.states, contexts=api.contexts
    )
    return [(each.event, each.status) for each in past]


async def _verdict_on(submission: Submission, api: Api) -> Verdict:
    try:
        new = _accept(submission, api)
    except _REFUSED:
        answered = await run_in_threadpool(lambda: use_cases.answered_before(submission, events=api.events))
        if answered is None:
            raise
        return answered
    [verdict] = await asyncio.wrap_future(api.appender.submit([new]))
    return verdict


def _accept(submission: Submission, api: Api) -> NewEvent:
    return use_cases.accept(
        submission,
        registry=api.registry,
        unknown_types=api.settings.unknown_types,
        admission=api.admission,
        new_id=api.new_id,
    )


def _try_accept(item: Submission | PlayheadError, api: Api) -> NewEvent | Verdict | PlayheadError:
    if isinstance(item, PlayheadError):
        return item
    try:
        return _accept(item, api)
    except _REFUSED as error:
        return use_cases.answered_before(item, events=api.events) or error


async def _answer(verdict: Verdict, seconds: float | None, api: Api) -> Response:
    if seconds is None:
        return answers.accepted(verdict)
    try:
        task = await task_after(verdict, seconds, api)
    except Unavailable:
        # It is stored, whatever happened since: to be told otherwise, a client would send it again.
        return answers.accepted(verdict)
    waited = {"Preference-Applied": "wait"}
    return answers.ended(verdict, task, waited) if task.status in ENDED else answers.accepted(verdict, waited)
