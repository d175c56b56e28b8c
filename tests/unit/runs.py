"""Runs of events through a pipeline of orders, without a store."""

import json
from collections.abc import Sequence

from pydantic import BaseModel

from application.engine import Batch, Outcome
from application.ports.claims import Claim
from application.subscription import Lane, Subscription, of_pipeline
from application.use_cases.processing import Processor
from domain.context import TaskContext
from domain.events import RecordedEvent
from domain.pipeline import Pipeline, node
from domain.registry import PipelineRegistry
from tests.factories import RecordedEventFactory


class Order(BaseModel):
    number: int


@node
def break_down(context: TaskContext) -> int:
    return 1 // 0


ORDERS = of_pipeline("orders")
LANE = of_pipeline("orders", lane=Lane(0, 1), hold=True)


def orders(*nodes, **options) -> Pipeline:
    return Pipeline("orders", {"order.placed": Order}, nodes, **options)


def run(
    pipeline: Pipeline,
    *events: RecordedEvent,
    attempt: int = 0,
    deaths: int = 0,
    stop_after: int | None = None,
    subscription: Subscription = ORDERS,
    **options,
) -> tuple[Sequence[Outcome], Batch]:
    claim = Claim(id=1, subscription="orders", first=1, last=9, attempt=attempt, deaths=deaths, fence=1)
    batch = Batch(
        claim=claim,
        subscription=subscription,
        rows=events or [RecordedEventFactory()],
        stopping=lambda: batch.done == stop_after,
    )
    return Processor(PipelineRegistry([pipeline]), **options).process(batch), batch


def context_of(outcome: Outcome) -> dict:
    return json.loads(outcome.context.context)
