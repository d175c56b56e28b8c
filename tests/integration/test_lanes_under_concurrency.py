"""Lanes with many workers that fail, die and hand back: the events of each subject end in their order, each once."""

import random
import threading
import time
from collections import defaultdict
from contextlib import suppress

import pytest

from application.engine import Engine, Work
from application.heart import Heart
from application.ports.claims import MAX_DEATHS, Claim, Claims, Completion
from application.ports.dispatcher import Silence
from application.subscription import Selection, Subscription, subscriptions_of
from application.use_cases.processing import Processor
from domain.context import TaskContext
from domain.events import RecordedEvent
from domain.pipeline import Pipeline, node
from domain.registry import PipelineRegistry
from domain.retry import Retry
from infrastructure.sql.store import SqlStore
from playhead import TransientError
from tests.concurrency import at_once
from tests.factories import NewEventFactory
from tests.unit.engines import MemoryJournal
from tests.unit.orders import Order

EVENTS, SUBJECTS, LANES = 150, 12, 3


class Dies(BaseException):
    """A worker that is gone in the middle of its claim."""


class Luck:
    """What happens, drawn from one seed by all threads; no worker dies of one event three times."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def happens(self, share: float) -> bool:
        with self._lock:
            return self._random.random() < share


class MortalClaims:
    """The claims of a worker that now and then dies where it would have completed."""

    def __init__(self, claims: Claims, luck: Luck) -> None:
        self._claims = claims
        self._luck = luck

    def complete(self, claim: Claim, completion: Completion) -> bool:
        if claim.deaths < MAX_DEATHS - 1 and self._luck.happens(0.08):
            raise Dies
        return self._claims.complete(claim, completion)

    def __getattr__(self, name: str) -> object:
        return getattr(self._claims, name)


def pipeline_of(luck: Luck, on_failure: str) -> Pipeline:
    @node
    def hiccup(context: TaskContext) -> int:
        if luck.happens(0.05):
            raise TransientError("not now")
        return context.data.number

    return Pipeline(
        "orders",
        {"order.placed": Order},
        (hiccup,),
        lanes=LANES,
        on_failure=on_failure,  # type: ignore[arg-type]  # one of the two
        batch=5,
        retry=Retry(attempts=50, base=0.01, cap=0.02),
    )


def engine_of(subscriptions: list[Subscription], store: SqlStore, pipeline: Pipeline, luck: Luck, owner: str) -> Engine:
    processor = Processor(PipelineRegistry([pipeline]))

    def load(selection: Selection, limit: int) -> list[RecordedEvent]:
        return store.events.read(selection, limit=limit)

    return Engine(
        works={each.name: Work(subscription=each, load=load, handle=processor.process) for each in subscriptions},
        claims=MortalClaims(store.claims, luck),  # type: ignore[arg-type]  # by __getattr__
        dispatcher=Silence(),
        journal=MemoryJournal(),
        owner=owner,
        heart=Heart(store.claims, lease=30),
    )


@pytest.mark.parametrize("on_failure", ["hold", "pass"])
def test_the_events_of_each_subject_end_in_order_whatever_happens_to_workers(
    sql_store: SqlStore, on_failure: str
) -> None:
    luck = Luck(7)
    pipeline = pipeline_of(luck, on_failure)
    subscriptions = subscriptions_of(pipeline, batch=500, lease=0.3)
    sql_store.claims.register(subscriptions)
    subjects = [f"subject-{number % SUBJECTS}" for number in range(EVENTS)]
    sql_store.events.append([NewEventFactory(subject=subject) for subject in subjects])
    end = time.monotonic() + 60

    def work(number: int) -> None:
        engine = engine_of(subscriptions, sql_store, pipeline, luck, f"w{number}")
        while time.monotonic() < end and len(completed(sql_store)) < EVENTS:
            number += 1
            with suppress(Dies):
                if not engine.turn(subscriptions[number % LANES].name, seconds=0.2):
                    time.sleep(0.01)

    at_once(5, work)

    ended = completed(sql_store)
    assert sorted(ended) == list(range(1, EVENTS + 1))
    by_subject = defaultdict(list)
    for position in ended:
        by_subject[subjects[position - 1]].append(position)
    assert all(positions == sorted(positions) for positions in by_subject.values())


def completed(store: SqlStore) -> list[int]:
    """The events with a completed context, in the order in which they ended."""
    rows = store.contexts.read(Selection(where={"status": "completed"}), limit=1000)
    return [row.event_position for row in rows]
