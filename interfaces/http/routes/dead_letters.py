"""/dead-letters: found, grouped, requeued, discarded."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from application.auditor import Auditor
from application.ports.dead_letters import DeadLetter, DeadLetterFilter
from application.use_cases import dead_letters as use_cases
from domain.context import TaskContext
from interfaces.http.answers import links_of
from interfaces.http.bodies import model_in_body
from interfaces.http.cursors import cursor_of, position_of
from interfaces.http.dead_letter_models import (
    ChosenBody,
    DeadLetterAnswer,
    DeadLettersAnswer,
    DecidedAnswer,
    DiscardBody,
    GroupAnswer,
    GroupsAnswer,
)
from interfaces.http.dependencies import Api, api, auditor
from interfaces.http.documented import DEAD_LETTER, DEAD_LETTERS, DISCARD, GROUPS, REQUEUE
from interfaces.http.fields import Name, Time

router = APIRouter(prefix="/dead-letters", tags=["dead letters"])
TheApi = Annotated[Api, Depends(api)]
TheAuditor = Annotated[Auditor, Depends(auditor)]


def wanted(
    pipeline: Name = None,
    type: Name = None,  # noqa: A002  # the parameter's name on the wire
    failure: Name = None,
    since: Time = None,
    until: Time = None,
) -> DeadLetterFilter:
    """Read the filter of a query."""
    return DeadLetterFilter(pipeline=pipeline, type=type, failure=failure, since=since, until=until)


Wanted = Annotated[DeadLetterFilter, Depends(wanted)]


@router.get("", **DEAD_LETTERS)
def list_dead_letters(
    api: TheApi,
    wanted: Wanted,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: str | None = None,
) -> DeadLettersAnswer:
    """Dead letters that fit, the newest event first, by pages."""
    found = api.dead_letters.find(wanted, before=position_of(cursor, wanted), limit=limit)
    return DeadLettersAnswer(
        dead_letters=[_answer(letter) for letter in found],
        count=use_cases.count_dead_letters(wanted, dead_letters=api.dead_letters),
        next=cursor_of(found[-1].event.position, wanted) if len(found) == limit else None,
    )


@router.get("/groups", **GROUPS)
def group_dead_letters(api: TheApi, wanted: Wanted) -> GroupsAnswer:
    """Dead letters by pipeline and kind of failure, the largest group first."""
    return GroupsAnswer(groups=[GroupAnswer(**asdict(group)) for group in api.dead_letters.groups(wanted)])


@router.get("/{event_id}", **DEAD_LETTER)
def get_dead_letter(event_id: str, api: TheApi) -> DeadLetterAnswer:
    """The dead letter of an event."""
    return _answer(use_cases.get_dead_letter(event_id, events=api.events, dead_letters=api.dead_letters))


@router.post("/requeue", **REQUEUE)
def requeue(
    body: Annotated[ChosenBody, Depends(model_in_body(ChosenBody))], api: TheApi, auditor: TheAuditor
) -> DecidedAnswer:
    """Run dead letters again, as if they had not run yet. Again, it changes nothing."""
    decided = use_cases.requeue(
        body.chosen(),
        events=api.events,
        dead_letters=api.dead_letters,
        dispatcher=api.dispatcher,
        registry=api.registry,
        auditor=auditor,
    )
    return DecidedAnswer(changed=len(decided.changed), unchanged=list(decided.unchanged))


@router.post("/discard", **DISCARD)
def discard(
    body: Annotated[DiscardBody, Depends(model_in_body(DiscardBody))], api: TheApi, auditor: TheAuditor
) -> DecidedAnswer:
    """End dead letters for good, with a reason. Again, it changes nothing."""
    decided = use_cases.discard(
        body.chosen(), body.reason, events=api.events, dead_letters=api.dead_letters, auditor=auditor
    )
    return DecidedAnswer(changed=len(decided.changed), unchanged=list(decided.unchanged))


def _answer(letter: DeadLetter) -> DeadLetterAnswer:
    run = TaskContext.from_json(letter.context.context).run
    return DeadLetterAnswer(
        event_id=letter.event.id,
        position=letter.event.position,
        type=letter.event.type,
        subject=letter.event.subject,
        pipeline=letter.context.pipeline,
        failure=letter.context.failure,
        error=asdict(run.failure) if run and run.failure else None,
        attempt=run.attempt if run else 0,
        died_at=letter.context.recorded_at,
        links=links_of(letter.event.id),
    )
