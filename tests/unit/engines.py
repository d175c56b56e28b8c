"""Engines over a store in memory: a journal that remembers, and handlers as small as a test needs."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from application.engine import Batch, Engine, Handler, Outcome, Work
from application.heart import Heart
from application.ports.claims import Claim, Claims
from application.ports.dispatcher import Dispatcher, Silence
from application.ports.journal import ClaimEnded, Journal
from application.ports.search_index import ENVELOPE, FieldType, SearchIndex
from application.subscription import Selection, Subscription, of_pipeline
from application.use_cases.indices import IndexBuilder
from application.use_cases.processing import Processor
from application.use_cases.results import INDEX, Indexer
from infrastructure.memory.dispatcher import MemoryDispatcher
from infrastructure.memory.store import MemoryStore
from tests.factories import NewContextFactory, NewEventFactory
from tests.stores import StillClock

ORDERS = of_pipeline("orders", batch=2)


class MemoryJournal(Journal):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.ended: list[ClaimEnded] = []
        self.refused: list[Claim] = []
        self.failures: list[tuple[str, Exception]] = []
        self.rejected: list[str] = []

    def claim_ended(self, ended: ClaimEnded) -> None:
        self.ended.append(ended)

    def completion_refused(self, claim: Claim, error: Exception) -> None:
        self.refused.append(claim)

    def documents_rejected(self, event_ids: Sequence[str], reason: str) -> None:
        self.rejected += [*event_ids, reason]

    def failed(self, what: str, error: Exception) -> None:
        self.failures.append((what, error))


def completed(batch: Batch) -> list[Outcome]:
    """Each row gets a completed context."""
    return [
        Outcome(position=row.position, context=NewContextFactory(event_position=row.position)) for row in batch.rows
    ]


class Bench:
    """A store in memory on a clock that stands still, and engines on it."""

    def __init__(self) -> None:
        self.clock = StillClock()
        self.store = MemoryStore(self.clock)
        self.dispatcher = MemoryDispatcher()
        self.journal = MemoryJournal()

    def engine(self, handle: Callable[[Batch], Sequence[Outcome]] = completed, *others: Work, **options: Any) -> Engine:
        subscription: Subscription = options.pop("subscription", ORDERS)
        works = [self.work(subscription, handle, begin=options.pop("begin", None)), *others]
        self.store.claims.register([work.subscription for work in works])
        dispatcher: Dispatcher = options.pop("dispatcher", self.dispatcher)
        return Engine(
            works={work.subscription.name: work for work in works},
            claims=options.pop("claims", self.store.claims),
            dispatcher=dispatcher,
            journal=self.journal,
            owner="test",
            heart=Heart(self.store.claims, lease=30),
            **options,
        )

    def work(
        self,
        subscription: Subscription,
        handle: Callable[[Batch], Sequence[Outcome]] = completed,
        *,
        begin: Callable[[], None] | None = None,
    ) -> Work:
        log = self.store.events if subscription.log == "events" else self.store.contexts
        return Work(
            subscription=subscription,
            load=lambda selection, limit: log.read(selection, limit=limit),
            handle=handle,
            begin=begin,
        )

    def append(self, count: int, **changes: Any) -> None:
        self.store.events.append(NewEventFactory.build_batch(count, **changes))

    def done(self) -> list[int]:
        """The positions of the events that have a completed context, as often as they have one."""
        contexts = self.store.contexts.read(Selection(where={"status": "completed"}), limit=1000)
        return sorted(context.event_position for context in contexts)

    def backlog(self, name: str = "orders") -> Any:
        return self.store.claims.backlog([name])[name]


class StrictJournal(MemoryJournal):
    """A journal of a test in which no completion may be refused."""

    def completion_refused(self, claim: Claim, error: Exception) -> None:
        raise AssertionError(error)


def engine_of(store: MemoryStore, handle: Processor | Handler, subscription: Subscription) -> Engine:
    """An engine that runs the events of a store through a processor."""
    work = Work(
        subscription=subscription,
        load=lambda selection, limit: store.events.read(selection, limit=limit),
        handle=handle.process if isinstance(handle, Processor) else handle,
    )
    return lone_engine(store, work)


def lone_engine(store: MemoryStore, work: Work) -> Engine:
    """An engine that has one work."""
    return Engine(
        works={work.subscription.name: work},
        claims=store.claims,
        dispatcher=Silence(),
        journal=StrictJournal(),
        owner="test",
        heart=Heart(store.claims, lease=30),
    )


INDEXING = Subscription(name=INDEX, log="task_contexts", selection=Selection(where={"status": "completed"}))


def indexer_of(store: MemoryStore, index: SearchIndex, fields: Mapping[str, FieldType] = ENVELOPE) -> Indexer:
    """What carries a store's documents to an index."""
    return Indexer(
        index=index,
        fields=fields,
        subscription=INDEXING,
        claims=store.claims,
        contexts=store.contexts,
        promotions=store.promotions,
        log_ids=store.log_ids,
        journal=MemoryJournal(),
    )


def index_all(store: MemoryStore, index: SearchIndex, fields: Mapping[str, FieldType] = ENVELOPE) -> None:
    """Work the `index` subscription until nothing is left."""
    indexer = indexer_of(store, index, fields)
    store.claims.register([INDEXING])
    work = Work(subscription=INDEXING, load=indexer.load, handle=indexer.index_contexts, begin=indexer.begin)
    while lone_engine(store, work).turn(INDEX):
        pass


def builder_of(
    store: MemoryStore, index: SearchIndex, fields: Mapping[str, FieldType] = ENVELOPE, **options: Any
) -> IndexBuilder:
    """What builds a store's indices."""
    return IndexBuilder(
        index=index,
        fields=fields,
        events=store.events,
        contexts=store.contexts,
        claims=store.claims,
        log_ids=store.log_ids,
        promotions=store.promotions,
        template=INDEXING,
        engine_of=partial(lone_engine, store),
        **{"sleep": lambda _: None, **options},
    )


def failing(*positions: int):
    """Rows of these positions are tried again, others complete."""

    def handle(batch: Batch) -> Sequence[Outcome]:
        return [
            Outcome(position=outcome.position, back="retry") if outcome.position in positions else outcome
            for outcome in completed(batch)
        ]

    return handle


class Passing:
    """Claims that pass all on."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims

    def __getattr__(self, name: str):
        return getattr(self._claims, name)
