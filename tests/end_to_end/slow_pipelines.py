"""Pipelines for the tests of processes: an event takes as long as its data says."""

import time

from pydantic import BaseModel

from playhead import EmitEvent, Pipeline, TaskContext, node


class Slow(BaseModel):
    """`seconds` is how long the run takes; `emits` asks for a follow-up."""

    n: int
    seconds: float = 0.0
    emits: bool = False


class Document(BaseModel):
    n: int


@node
def wait(context: TaskContext) -> int:
    time.sleep(context.data.seconds)
    return context.data.n


@node
def emit(context: TaskContext) -> TaskContext:
    return context.declare(EmitEvent(type="quick.done", data={"n": context.data.n})) if context.data.emits else context


def document(context: TaskContext) -> Document:
    return Document(n=context.data.n)


SLOW = Pipeline("slow", {"slow.asked": Slow}, (wait, emit), document=document)
QUICK = Pipeline("quick", {"quick.done": Slow}, (wait,), document=document)
LIMITED = Pipeline("limited", {"limited.asked": Slow}, (wait,), document=document, limit=0.5)
PIPELINES = (SLOW, QUICK, LIMITED)
