"""A bench on which pipelines run and their calls are carried out, in memory, on a clock that stands still."""

from functools import partial
from typing import Any

from pydantic import BaseModel

from application.engine import Engine
from application.subscription import Selection, Subscription, of_pipeline
from application.use_cases.effect_states import DECLARES_CALLS, EffectState, list_effects
from application.use_cases.effects import EFFECTS, carry_out
from application.use_cases.processing import Processor
from domain.context import TaskContext
from domain.pipeline import FunctionNode, Pipeline
from domain.registry import PipelineRegistry
from infrastructure.memory.caller import MemoryCaller
from playhead import Email, HttpCall
from tests.unit.engines import Bench

URL = "https://example.org/hook"


class Order(BaseModel):
    number: int


class Told(BaseModel):
    effect_id: str
    status: int
    content_type: str | None
    body: str


class EffectBench(Bench):
    """Each event declares these calls."""

    def __init__(self, *calls: HttpCall | Email, results: Any = (), **options: Any) -> None:
        super().__init__()
        self.caller = MemoryCaller(*results)

        def tell(context: TaskContext) -> TaskContext:
            for call in calls or (HttpCall(url=URL),):
                context = context.declare(call)
            return context

        told = Pipeline("told", {"order.told": Told})
        self.registry = PipelineRegistry(
            [Pipeline("orders", {"order.placed": Order}, (FunctionNode("tell", tell),)), told]
        )
        self.subscription = Subscription(
            name=EFFECTS,
            log="task_contexts",
            selection=Selection(where=DECLARES_CALLS),
            batch=1,
        )
        handle = partial(
            carry_out,
            ledger=self.store.ledger,
            callers=options.pop("callers", {"http_call": self.caller, "email": self.caller}),
            events=self.store.events,
            dispatcher=self.dispatcher,
            registry=self.registry,
        )
        self.worker: Engine = self.engine(
            Processor(self.registry, **options).process,
            self.work(self.subscription, handle),
            subscription=of_pipeline("orders"),
        )

    def post(self, count: int = 1, **changes: Any) -> None:
        self.append(count, **{"data": '{"number": 1}', **changes})
        self.worker.turn("orders")

    def turn(self) -> int:
        """Let a worker carry out what is due."""
        return self.worker.turn(EFFECTS, seconds=3600)

    def die(self) -> None:
        """Let a worker die at what is due."""
        try:
            self.turn()
        except SystemExit:
            return
        raise AssertionError("nobody died")

    def states(self, status: Any = None) -> list[EffectState]:
        store = self.store
        return list_effects(status, limit=99, ledger=store.ledger, contexts=store.contexts, claims=store.claims)

    def statuses(self) -> list[str]:
        return [state.status for state in self.states()]

    def steps(self) -> list[tuple[int, str]]:
        """Every step of every effect, by ascending position."""
        return [
            (entry.attempt, entry.phase)
            for entry in self.store.ledger.of_contexts(range(1, self.store.contexts.head() + 1))
        ]
