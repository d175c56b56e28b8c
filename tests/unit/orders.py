"""A small pipeline of orders, for tests of pipelines."""

from pydantic import BaseModel, ConfigDict

from domain.context import TaskContext
from domain.pipeline import Pipeline, node


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int


class Document(BaseModel):
    number: int


@node
def double(context: TaskContext) -> int:
    return 2 * context.data.number


@node
def plus_one(context: TaskContext) -> int:
    return context.outputs["double"] + 1


def document(context: TaskContext) -> Document:
    return Document(number=context.outputs["double"])


def pipeline(*nodes, **given) -> Pipeline:
    return Pipeline(**{"name": "orders", "accepts": {"order.placed": Order}, "nodes": nodes, **given})
