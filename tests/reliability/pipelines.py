"""The pipelines that the harnesses run: each event says in its data what it does to the one who runs it."""

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel

from playhead import (
    ElasticsearchIndexNode,
    EmitEvent,
    Pipeline,
    PipelineRegistry,
    Retry,
    Schedule,
    TaskContext,
    TransientError,
    node,
)

PLACED = "order.placed"
SHIPPED = "order.shipped"
UNKNOWN = "order.dreamt"
"""A type without a pipeline."""
ATTEMPTS = 3

Kind = Literal["plain", "asks", "hiccup", "storm", "breaks", "kills", "slow", "refused"]
"""What an event does: nothing, ask for follow-ups, fail once for a while, fail for a while each time, fail for good,
kill its worker, take long, be refused by the database at first."""


class Order(BaseModel):
    """`more` is how many follow-ups an event of kind `asks` asks for."""

    number: int
    kind: Kind = "plain"
    more: int = 0


class Result(BaseModel):
    number: int
    doubled: int


class Outside:
    """The world beyond the nodes. What hiccups here has happened once for all processes."""

    def __init__(self) -> None:
        self._met: dict[tuple[str, str], None] = {}
        self.kill: Callable[[], None] = lambda: None
        self.take_long: Callable[[], None] = lambda: None

    def first(self, what: str, event_id: str) -> bool:
        """True the first time that this is asked of an event."""
        known = len(self._met)
        self._met[what, event_id] = None
        return len(self._met) > known


outside = Outside()
"""The world of the run at hand. A harness runs one at a time and begins it by `begin_anew`."""


def begin_anew() -> Outside:
    """A fresh world for the next run."""
    outside.__init__()  # type: ignore[misc]  # the nodes hold on to this one
    return outside


@node
def meet(context: TaskContext) -> str:
    kind = context.data.kind
    if kind == "slow":
        outside.take_long()
    if kind == "kills":
        outside.kill()
    if kind == "storm" or (kind == "hiccup" and outside.first("hiccup", context.event.id)):
        raise TransientError("The moon is in the way.")
    if kind == "breaks":
        raise ZeroDivisionError
    return str(kind)


@node
def double(context: TaskContext) -> int:
    return 2 * int(context.data.number)


@node
def ask(context: TaskContext) -> TaskContext:
    for ordinal in range(context.data.more if context.data.kind == "asks" else 0):
        data = {"number": 1000 * context.data.number + ordinal}
        context = context.declare(EmitEvent(type=SHIPPED, data=data))
    return context


def result(context: TaskContext) -> Result:
    return Result(number=context.data.number, doubled=context.outputs["double"])


RETRY = Retry(attempts=ATTEMPTS, base=8.0, cap=8.0)
# The last node is named, so that what is prepared to run is this very object, whose fingerprint is computed once.
INDEXED = ElasticsearchIndexNode(result)
NIGHTLY = Schedule(name="nightly", cron="0 3 * * *", type=SHIPPED, data={"number": 12, "kind": "plain"}, missed="all")
PIPELINES = (
    Pipeline("orders", {PLACED: Order}, (meet, double, ask, INDEXED), retry=RETRY, document=result),
    Pipeline("shipping", {SHIPPED: Order}, (double, INDEXED), retry=RETRY, document=result, schedules=(NIGHTLY,)),
)


def registry() -> PipelineRegistry:
    return PipelineRegistry(PIPELINES)
