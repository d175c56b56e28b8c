"""Comparing a replay with the live results: every affected event, its node by name, and no false difference."""

from dataclasses import replace
from datetime import UTC, datetime
from random import random
from uuid import uuid4

import pytest
from pydantic import BaseModel
from pydantic_core import to_json

from application.auditor import Auditor
from application.ports.claims import Completion
from application.ports.context_log import RecordedContext
from application.subscription import Selection, of_pipeline
from application.use_cases import comparing
from application.use_cases.comparing import Comparison, DifferenceClass, compare, compare_held, results_of
from application.use_cases.processing import Processor
from application.use_cases.replay_plans import PlanReplay, plan_replay
from application.use_cases.replay_run import run_replay
from domain.differences import Rules
from domain.pipeline import FunctionNode, Pipeline, node
from domain.registry import PipelineRegistry
from infrastructure.memory.search_index import MemorySearchIndex
from infrastructure.memory.store import MemoryStore
from playhead import TaskContext
from tests.factories import NewContextFactory, NewEventFactory
from tests.replays import memory_run
from tests.unit.engines import engine_of

EVENTS = 30
EXACT = Rules()


class Flight(BaseModel):
    delay: int


@node
def hours(context: TaskContext) -> float:
    return context.data.delay / 60


def classify_by(limit: int) -> FunctionNode:
    def classify(context: TaskContext) -> dict[str, object]:
        return {"status": "late" if context.data.delay > limit else "on_time", "delays": [context.data.delay]}

    return FunctionNode("classify", classify)


@node
def tell(context: TaskContext) -> str:
    return str(context.outputs["classify"]["status"]).upper()


@node
def noisy(context: TaskContext) -> dict[str, object]:
    return {
        "id": str(uuid4()),
        "at": datetime.now(UTC).isoformat(),
        "drawn": [random(), random()],
        "n": context.data.delay,
    }


def refuse(context: TaskContext) -> dict[str, object]:
    if context.data.delay > 20:
        raise ValueError("so late a flight is not of this world")
    return {"status": "late" if context.data.delay > 15 else "on_time", "delays": [context.data.delay]}


REFUSE = FunctionNode("classify", refuse)


def registry_of(*nodes: object) -> PipelineRegistry:
    return PipelineRegistry([Pipeline("flights", {"flight.landed": Flight}, nodes)])


@pytest.fixture
def store() -> MemoryStore:
    """Flights whose delays are 0 to 29 minutes."""
    store = MemoryStore()
    store.events.append(
        [NewEventFactory(type="flight.landed", data=f'{{"delay": {n}}}', route="flights") for n in range(EVENTS)]
    )
    return store


def live(store: MemoryStore, *nodes: object) -> None:
    subscription = of_pipeline("flights")
    store.claims.register([subscription])
    engine_of(store, Processor(registry_of(*nodes)), subscription).turn("flights")


def replayed(store: MemoryStore, *nodes: object, rules: Rules = EXACT, seek_noise: bool = True) -> Comparison:
    processor = Processor(registry_of(*nodes))
    auditor = Auditor("cli:somebody", store.audit)
    replay = plan_replay(
        PlanReplay(everything=True),
        events=store.events,
        contexts=store.contexts,
        states=store.states,
        index=MemorySearchIndex(),
        replays=store.replays,
        registry=registry_of(*nodes),
        fingerprints=registry_of(*nodes).fingerprints,
        stale=lambda _: (),
        auditor=auditor,
        dry_run=processor.dry_run,
    ).replay
    run_replay(memory_run(store, replay, Processor(registry_of(*nodes), generation=replay.id), batch=7))
    return compare(
        replay.id,
        contexts=store.contexts,
        events=store.events,
        view=store.promotions.current(),
        rules=rules,
        dry_run=processor.dry_run if seek_noise else None,
    )


def dead(store: MemoryStore) -> list[RecordedContext]:
    return store.contexts.read(Selection(where={"status": "dead"}), limit=100)


def test_the_same_code_differs_in_nothing(store: MemoryStore) -> None:
    live(store, hours, classify_by(15), tell)

    found = replayed(store, hours, classify_by(15), tell)

    assert (found.compared, found.identical, found.same, found.classes) == (EVENTS, EVENTS, True, [])


def test_a_changed_rule_is_found_in_every_affected_event_with_its_node(store: MemoryStore) -> None:
    live(store, hours, classify_by(15), tell)

    found = replayed(store, hours, classify_by(20), tell)

    assert (found.identical, found.different, found.same) == (EVENTS - 5, 5, False)
    ids = [event.id for event in store.events.read(Selection(), limit=100)][16:19]
    common = {"pipeline": "flights", "node": "classify", "events": 5, "examples": ids}
    assert found.classes == [
        DifferenceClass(place="/outputs/classify/status", words="late → on_time", old="late", new="on_time", **common),
        DifferenceClass(place="/outputs/tell", words="LATE → ON_TIME", old="LATE", new="ON_TIME", **common),
    ]
    assert sum(found.different_by_day.values()) == 5


def test_what_differs_between_two_runs_of_the_same_code_is_noise(store: MemoryStore) -> None:
    live(store, noisy)

    found = replayed(store, noisy)

    assert (found.equivalent, found.different, found.same) == (EVENTS, 0, True)
    assert set(found.noise) == {"/outputs/noisy/id", "/outputs/noisy/at", "/outputs/noisy/drawn/*"}


def test_a_change_is_found_beneath_noise(store: MemoryStore) -> None:
    live(store, noisy, classify_by(15))

    found = replayed(store, noisy, classify_by(20))

    assert (found.equivalent, found.different) == (EVENTS - 5, 5)
    assert [(one.node, one.events) for one in found.classes] == [("classify", 5)]


def test_without_the_code_noise_is_not_sought(store: MemoryStore) -> None:
    live(store, noisy)

    assert replayed(store, noisy, seek_noise=False).different == EVENTS


def test_a_run_that_fails_now_is_a_class_of_its_own(store: MemoryStore) -> None:
    live(store, classify_by(15))

    found = replayed(store, REFUSE)

    assert len(dead(store)) == found.different == 9
    [one] = found.classes
    assert (one.node, one.place, one.words, one.events) == (
        "classify",
        "/run/status",
        "completed → dead by ValueError",
        9,
    )


def test_a_run_that_failed_alike_before_is_the_same(store: MemoryStore) -> None:
    live(store, REFUSE)

    found = replayed(store, REFUSE)

    assert (found.same, found.different, found.identical + found.equivalent) == (True, 0, EVENTS)


def test_numbers_within_the_tolerance_and_ignored_places_do_not_count(store: MemoryStore) -> None:
    def hours_otherwise(context: TaskContext) -> float:
        return context.data.delay / 60 + 1e-9

    changed = FunctionNode("hours", hours_otherwise)
    live(store, hours, classify_by(15))

    assert replayed(store, changed, classify_by(15)).different == EVENTS
    assert replayed(store, changed, classify_by(15), rules=Rules(tolerance=1e-6)).same
    assert replayed(store, changed, classify_by(15), rules=Rules(ignored=("/outputs/hours",))).same


def test_events_without_a_live_result_are_counted(store: MemoryStore) -> None:
    found = replayed(store, hours)

    assert (found.without_live, found.same) == (EVENTS, False)


def test_so_many_classes_are_counted_together(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("application.use_cases.comparing.MAX_CLASSES", 3)

    def word(context: TaskContext) -> str:
        return "abcdefghijklmnopqrstuvwxyzäöüß"[context.data.delay]

    live(store, hours)

    found = replayed(store, FunctionNode("hours", word))

    assert len(found.classes) == 4
    assert sum(one.events for one in found.classes) == EVENTS
    assert found.classes[0].words == "and other changes"


def completed_after_its_type_moved(store: MemoryStore) -> Processor:
    """Two events that died in one pipeline, and were completed by another, which has their type now."""
    processor = Processor(registry_of(hours))
    subscription = of_pipeline("flights")
    store.claims.register([subscription])
    claim = store.claims.take(replace(subscription, batch=2), owner="w")
    contexts = []
    for event in store.events.read(Selection(), limit=2):
        made = to_json(processor.dry_run(event)).decode()
        died = made.replace('"failure":null', '"failure":{"node":null,"type":"X","message":"m","where":null}')
        for pipeline, status, text in (("aviation", "dead", died), ("flights", "completed", made)):
            contexts.append(
                NewContextFactory(event_position=event.position, pipeline=pipeline, status=status, context=text)
            )
    assert store.claims.complete(claim, Completion(contexts=contexts))
    return processor


def test_of_two_results_of_an_event_the_completed_one_is_compared(store: MemoryStore) -> None:
    processor = completed_after_its_type_moved(store)

    found = compare_held(
        Selection(),
        EXACT,
        events=store.events,
        contexts=store.contexts,
        promotions=store.promotions,
        dry_run=processor.dry_run,
    )

    assert (found.compared, found.identical, found.classes) == (2, 2, [])


@pytest.mark.parametrize("page", [3, 4, 5])
def test_no_result_is_lost_at_the_end_of_a_page(store: MemoryStore, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    completed_after_its_type_moved(store)
    monkeypatch.setattr(comparing, "_PAGE", page)

    found = [result.key for result in results_of(0, store.contexts)]

    assert found == [(1, "aviation"), (1, "flights"), (2, "aviation"), (2, "flights")]
