"""A pipeline for the tests of effects: each event calls the URL that its data names."""

from pydantic import BaseModel

from playhead import HttpCall, Pipeline, TaskContext, node


class Asked(BaseModel):
    """`answered`: the answer is appended as an event."""

    n: int
    url: str
    answered: bool = False


class Answered(BaseModel):
    effect_id: str
    status: int
    content_type: str | None
    body: str


@node
def call(context: TaskContext) -> TaskContext:
    body = {"n": context.data.n, "event_id": context.event.id}
    answer_type = "call.answered" if context.data.answered else None
    return context.declare(HttpCall(url=context.data.url, body=body, answer_type=answer_type))


@node
def status(context: TaskContext) -> int:
    return context.data.status


PIPELINES = (
    Pipeline("calling", {"call.asked": Asked}, (call,)),
    Pipeline("answers", {"call.answered": Answered}, (status,)),
)
