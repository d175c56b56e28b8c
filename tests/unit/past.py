"""A past: orders that ran through a pipeline, exported as a corpus and checked against changed code."""

import json
from datetime import UTC, datetime
from random import random
from typing import Any, Literal
from uuid import uuid4

from pydantic import BaseModel

from application.auditor import Auditor
from application.subscription import of_pipeline
from application.use_cases.corpus import (
    Export,
    ExportCorpus,
    check_corpus,
    export_corpus,
)
from application.use_cases.processing import Processor
from domain.corpus import Corpus, lines_of, read_corpus
from domain.differences import Rules
from domain.pipeline import Node, Pipeline, node
from domain.registry import PipelineRegistry
from infrastructure.memory.store import MemoryStore
from playhead import EmitEvent, PermanentError, Route, Schema, TaskContext
from tests.factories import NewEventFactory
from tests.stores import StillClock
from tests.unit.engines import engine_of


class Order(BaseModel):
    number: int
    customer: str = "nobody"
    size: Literal["small", "large"] = "small"


@node
def double(context: TaskContext) -> int:
    return 2 * context.data.number


def wrong_double(context: TaskContext) -> int:
    return 2 * context.data.number + (context.data.number % 3 == 0)


@node
def greet(context: TaskContext) -> str:
    return f"Dear {context.data.customer}"


@node
def half(context: TaskContext) -> float:
    return 1 / context.data.number


@node
def tell(context: TaskContext) -> TaskContext:
    return (
        context.declare(EmitEvent(type="order.placed", data={"number": 0})) if context.data.size == "large" else context
    )


@node
def noisy(context: TaskContext) -> dict[str, object]:
    return {"id": str(uuid4()), "at": datetime.now(UTC).isoformat(), "drawn": [random()], "n": context.data.number}


def known_customer(context: TaskContext) -> bool:
    if context.data.customer != "Ann Lee":
        raise PermanentError("a stranger")
    return True


BY_SIZE = Route("by_size", lambda context: context.data.size, {"small": (double,), "large": (half, tell)})
SCHEMA = Schema(Order, version=2, upcasters={1: lambda data: {"number": data["no"]}})


class Past:
    """A store in memory, and the code that ran live in it."""

    def __init__(self, *nodes: Node) -> None:
        self.clock = StillClock()
        self.store = MemoryStore(self.clock)
        self.use(*nodes)

    def use(self, *nodes: Node) -> None:
        """Have other code from now on."""
        self.registry = PipelineRegistry([Pipeline("orders", {"order.placed": SCHEMA}, nodes)])

    def run(self, *data: object, **members: Any) -> list[str]:
        """Append events and let them end; their ids."""
        texts = [each if isinstance(each, str) else json.dumps(each) for each in data]
        events = [NewEventFactory(**{"data": text, "schema_version": 2, **members}) for text in texts]
        self.store.events.append(events)
        live = of_pipeline("orders")
        self.store.claims.register([live])
        engine = engine_of(self.store, Processor(self.registry), live)
        while engine.turn("orders"):
            pass
        return [event.id for event in events]

    def export(self, per_shape: int = 100, **options: Any) -> Export:
        processor = Processor(self.registry, generation=-1)
        return export_corpus(
            ExportCorpus(per_shape=per_shape, **options),
            contexts=self.store.contexts,
            states=self.store.states,
            promotions=self.store.promotions,
            log_ids=self.store.log_ids,
            registry=self.registry,
            fingerprints=self.registry.fingerprints,
            dry_run=processor.dry_run,
            auditor=Auditor("cli:somebody", self.store.audit),
        )

    def check(self, corpus: Corpus, rules: Rules | None = None) -> Any:
        """What today's code makes of a corpus that was written and read again."""
        read = read_corpus([line.encode() for line in lines_of(corpus.header, corpus.expectations)])
        return check_corpus(read, rules or Rules(), dry_run=Processor(self.registry, generation=-1).dry_run)


def orders(count: int, **members: Any) -> list[dict[str, Any]]:
    return [{"number": number, "customer": f"Customer {number}", **members} for number in range(1, count + 1)]


def corpus_of(export: Export) -> Corpus:
    assert export.corpus is not None
    return export.corpus


def text_of(export: Export) -> str:
    corpus = corpus_of(export)
    return "\n".join(lines_of(corpus.header, corpus.expectations))


def counted(export: Export) -> list[tuple[int, str, int, int]]:
    return [(each.schema_version, each.outcome, each.stored, each.taken) for each in export.shapes]
