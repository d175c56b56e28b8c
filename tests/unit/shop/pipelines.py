"""A pipeline with two branches."""

from dataclasses import dataclass

from pydantic import BaseModel, field_validator

from playhead import Branches, Pipeline, Route, Schema, TaskContext, node
from shop import rules
from shop.rules import TABLE, in_euro


def positive(amount):
    return abs(amount)


class Order(BaseModel):
    """An order."""

    amount: float
    note: str = ""

    @field_validator("amount")
    @classmethod
    def check(cls, value):
        return positive(value)


class Document(BaseModel):
    amount: float


def lift(data):
    return {**data, "note": rules.rounded(1)}


def kind_of(context: TaskContext):
    return "large" if rules.is_large(context.data.amount) else "small"


@node
def euro(context):
    return in_euro(context.data.amount, "USD")


@node
def found(context):
    return TABLE.find(context.data.amount)


@node
def huge(context):
    return rules.is_huge(context.data.amount)


@node
def whole(context):
    return rules.rounded(context.data.amount) + rules.cents(1)


@node
def parity(context):
    return rules.even(context.data.amount)


@node
def worded(context):
    return rules.lazily(context.data.note)


@node
def picked(context):
    return rules.pick["a"](1)


@dataclass(frozen=True)
class Threshold:
    limit: int
    name: str = "threshold"

    def __call__(self, context):
        return context.with_output(self.name, rules.near(self.limit))


def document(context) -> Document:
    return Document(amount=context.data.amount)


NODES = (
    euro,
    Route("kind", kind_of, {"large": (huge, Threshold(3)), "small": (found,)}, otherwise=(worded,)),
    Branches("both", {"a": (whole,), "b": (parity,)}),
    picked,
)
ORDERS = Pipeline("orders", {"order.placed": Schema(Order, version=2, upcasters={1: lift})}, NODES, document=document)
PIPELINES = (ORDERS,)
