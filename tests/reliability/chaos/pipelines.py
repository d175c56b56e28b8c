"""The pipelines of a chaos run: plain ones, one in order, one that calls, one that asks for a follow-up, a clock's."""

import os
import random
from typing import Literal

from pydantic import BaseModel

from playhead import EmitEvent, HttpCall, Pipeline, Retry, Schedule, TaskContext, TransientError, node

Mood = Literal["fine", "poison", "transient", "deadly"]
DRAW = random.SystemRandom()


class Work(BaseModel):
    """`nonce` names the event among all; `mood` says how its run ends."""

    nonce: str
    weight: float
    mood: Mood = "fine"


class Told(Work):
    url: str


class Tick(BaseModel):
    pass


class Document(BaseModel):
    nonce: str
    weight: float


@node
def behave(context: TaskContext) -> float:
    """Raise for ever, raise at random (so that the next attempt may go well), or end the process."""
    mood = context.data.mood
    if mood == "poison":
        raise ValueError("poison, as was planted")
    if mood == "transient" and DRAW.random() < 0.5:
        raise TransientError("not this time")
    if mood == "deadly":
        os._exit(9)
    return float(context.data.weight) * 2


@node
def tell(context: TaskContext) -> TaskContext:
    return context.declare(HttpCall(url=context.data.url, body={"nonce": context.data.nonce}))


@node
def ask(context: TaskContext) -> TaskContext:
    data = {"nonce": f"after {context.data.nonce}", "weight": context.data.weight}
    return context.declare(EmitEvent(type="chaos.answered", data=data))


def document(context: TaskContext) -> Document:
    return Document(nonce=context.data.nonce, weight=context.data.weight)


PATIENT = Retry(attempts=40, base=0.1, cap=1.0)
"""So many attempts that what fails at random ends well."""

PIPELINES = (
    Pipeline("readings", {"chaos.read": Work}, (behave,), document=document, retry=PATIENT),
    Pipeline("notes", {"chaos.noted": Work}, (behave,), document=document, retry=PATIENT),
    Pipeline("moves", {"chaos.moved": Work}, (behave,), document=document, retry=PATIENT, lanes=4, on_failure="pass"),
    Pipeline("telling", {"chaos.told": Told}, (behave, tell), document=document, retry=PATIENT),
    Pipeline("asking", {"chaos.asked": Work}, (behave, ask), document=document, retry=PATIENT),
    Pipeline("answering", {"chaos.answered": Work}, (behave,), document=document, retry=PATIENT),
    Pipeline(
        "minutes",
        {"chaos.minute": Tick},
        schedules=(Schedule(name="minute", cron="* * * * *", type="chaos.minute", missed="all"),),
    ),
)
