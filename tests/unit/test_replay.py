"""Replay: frozen plans, resumable runs, equal digests, no second follow-up."""

from collections.abc import Sequence
from functools import partial
from itertools import count

import pytest
from pydantic import BaseModel

from application.auditor import Auditor
from application.subscription import Selection, of_pipeline
from application.use_cases.listing import list_positions
from application.use_cases.processing import Processor
from application.use_cases.replay import get_replay, is_done, replay_status, require_same_code, subscription_of
from application.use_cases.replay_plans import APPEND_SECONDS, PlanReplay, plan_replay
from application.use_cases.replay_run import run_replay
from application.use_cases.staleness import stale_positions
from domain.errors import InvalidReplay, NotFound
from domain.pipeline import Pipeline, node
from domain.registry import PipelineRegistry
from infrastructure.memory.search_index import MemorySearchIndex
from infrastructure.memory.store import MemoryStore
from playhead import EmitEvent, TaskContext
from tests.factories import NewEventFactory
from tests.replays import memory_run
from tests.unit.engines import engine_of


class Number(BaseModel):
    n: int


@node
def double(context: TaskContext) -> int:
    return context.data.n * 2


@node
def triple(context: TaskContext) -> int:
    return context.data.n * 3


@node
def announce(context: TaskContext) -> TaskContext:
    return context.declare(EmitEvent(type="number.seen", data={"n": context.data.n}))


@node
def picky(context: TaskContext) -> int:
    if context.data.n > 7:
        raise ValueError("too much")
    return 0


def registry_of(*nodes) -> PipelineRegistry:
    numbers = Pipeline("numbers", {"number.sent": Number, "number.seen": Number}, nodes)
    return PipelineRegistry([numbers])


@pytest.fixture
def store() -> MemoryStore:
    """Ten numbers that have run live."""
    store = MemoryStore()
    store.events.append(
        [
            NewEventFactory(type="number.sent", data=f'{{"n": {n}}}', route="numbers", subject=f"s{n % 2}")
            for n in range(10)
        ]
    )
    live = of_pipeline("numbers")
    store.claims.register([live])
    engine_of(store, Processor(registry_of(double)), live).turn("numbers")
    return store


def plan(store: MemoryStore, command: PlanReplay, *nodes):
    registry = registry_of(*nodes or (double,))
    fingerprints = registry.fingerprints
    return plan_replay(
        command,
        events=store.events,
        contexts=store.contexts,
        states=store.states,
        index=MemorySearchIndex(),
        replays=store.replays,
        registry=registry,
        fingerprints=fingerprints,
        stale=partial(
            stale_positions,
            contexts=store.contexts,
            codes=store.codes,
            promotions=store.promotions,
            registry=registry,
        ),
        auditor=Auditor("cli:somebody", store.audit),
        dry_run=Processor(registry).dry_run,
        clock=count(0.0, 0.1).__next__,
    )


def require_code(store: MemoryStore, replay, registry: PipelineRegistry) -> None:
    fingerprints = registry.fingerprints
    require_same_code(replay, events=store.events, registry=registry, fingerprints=fingerprints)


def run(store: MemoryStore, replay, *nodes) -> None:
    processor = Processor(registry_of(*nodes or (double,)), generation=replay.id)
    assert run_replay(memory_run(store, replay, processor)) == "done"


def status(store: MemoryStore, replay):
    return replay_status(
        replay,
        claims=store.claims,
        contexts=store.contexts,
        promotions=store.promotions,
    )


def positions(store: MemoryStore, selection: Selection) -> Sequence[int]:
    return [event.position for event in store.events.read(selection, limit=100)]


def test_an_empty_filter_is_refused_and_everything_must_be_said(store: MemoryStore) -> None:
    with pytest.raises(InvalidReplay, match="empty"):
        plan(store, PlanReplay())

    assert plan(store, PlanReplay(everything=True)).replay.count == 10


def test_a_plan_writes_no_context(store: MemoryStore) -> None:
    before = store.contexts.head()

    plan(store, PlanReplay(everything=True))

    assert store.contexts.head() == before


def test_a_plan_tells_what_it_would_do(store: MemoryStore) -> None:
    planned = plan(store, PlanReplay(everything=True), double, announce, picky)

    assert [event.position for event in planned.first] == [1, 2, 3, 4, 5]
    assert (planned.sampled, planned.failing) == (10, 2)
    assert planned.effects == {"emit_event": 8, "index_document": 8}
    # The clock moves 0.1 s a look, and it is looked at after each event.
    assert planned.seconds == pytest.approx(10 * (0.1 + APPEND_SECONDS))


def test_what_has_not_ended_well_is_not_tried_by_a_plan(store: MemoryStore) -> None:
    store.events.append([NewEventFactory(type="number.sent", data='{"n": 10}', route="numbers")])

    assert plan(store, PlanReplay(first=10)).sampled == 1
    unknown = plan(store, PlanReplay(first=11))

    assert (unknown.sampled, unknown.seconds) == (0, None)


def test_a_sample_takes_only_so_long(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("application.use_cases.replay_plans.SAMPLE_SECONDS", 0.25)

    planned = plan(store, PlanReplay(everything=True))

    assert planned.sampled == 3
    assert planned.seconds == pytest.approx(10 * (0.1 + APPEND_SECONDS))


def test_what_is_listed_is_frozen_with_the_filters(store: MemoryStore) -> None:
    planned = plan(store, PlanReplay(status="succeeded", first=9))

    assert planned.replay.selection == Selection(positions=(9, 10))
    assert planned.replay.count == 2
    with pytest.raises(InvalidReplay, match="No event fits"):
        plan(store, PlanReplay(generation=7))


def listed(store: MemoryStore, **asked) -> Sequence[int] | None:
    return list_positions(states=store.states, contexts=store.contexts, index=MemorySearchIndex(), **asked)


def test_events_are_listed_by_what_they_are_now(store: MemoryStore) -> None:
    replayed = plan(store, PlanReplay(first=4, last=6)).replay
    run(store, replayed)
    store.events.append([NewEventFactory(type="number.sent", data='{"n": 10}', route="numbers")])

    assert listed(store) is None
    assert listed(store, status="succeeded") == list(range(1, 11))
    assert listed(store, status="queued") == [11]
    assert listed(store, generation=replayed.id) == [4, 5, 6]
    assert listed(store, generation=replayed.id, status="queued") == []


def test_so_many_events_are_not_listed(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("application.use_cases.listing.MAX_LISTED", 9)

    with pytest.raises(InvalidReplay, match="more than 9 events with status succeeded"):
        listed(store, status="succeeded")


def test_what_is_appended_after_the_plan_is_not_replayed(store: MemoryStore) -> None:
    planned = plan(store, PlanReplay(type="number.sent"))
    store.events.append([NewEventFactory(type="number.sent", data='{"n": 99}', route="numbers")])

    run(store, planned.replay)

    assert store.contexts.summary(planned.replay.id) == [("numbers", "completed", 10)]


def test_positions_and_pipeline_narrow_the_selection(store: MemoryStore) -> None:
    planned = plan(store, PlanReplay(first=3, last=5, pipeline="numbers"))

    assert positions(store, planned.replay.selection) == [3, 4, 5]
    with pytest.raises(InvalidReplay, match="No event fits"):
        plan(store, PlanReplay(pipeline="other"))


def test_events_may_be_named_and_an_unknown_one_is_not_found(store: MemoryStore) -> None:
    events = store.events.read(Selection(), limit=10)

    planned = plan(store, PlanReplay(ids=[events[7].id, events[1].id, events[1].id]))
    run(store, planned.replay)

    assert [row.event_position for row in store.contexts.results(planned.replay.id, after=0, limit=10)] == [2, 8]
    with pytest.raises(NotFound):
        plan(store, PlanReplay(ids=["01900000-0000-7000-8000-000000000000"]))


def test_equal_code_gives_equal_digests_and_overwrites_nothing(store: MemoryStore) -> None:
    live = store.contexts.results(0, after=0, limit=100)
    planned = plan(store, PlanReplay(everything=True))

    run(store, planned.replay)

    result = status(store, planned.replay)
    assert (result.done, result.identical, result.different, result.without_live) == (True, 10, 0, 0)
    assert store.contexts.results(0, after=0, limit=100) == live


def test_other_code_gives_other_digests(store: MemoryStore) -> None:
    planned = plan(store, PlanReplay(everything=True), triple)

    run(store, planned.replay, triple)

    result = status(store, planned.replay)
    assert (result.identical, result.different) == (0, 10)


def test_a_replay_is_refused_when_the_code_changed_since_the_plan(store: MemoryStore) -> None:
    planned = plan(store, PlanReplay(everything=True))

    with pytest.raises(InvalidReplay, match="numbers"):
        require_code(store, planned.replay, registry_of(triple))
    require_code(store, planned.replay, registry_of(double))


def test_a_replay_is_refused_when_a_pipeline_has_come_or_gone_since_the_plan(store: MemoryStore) -> None:
    none = PipelineRegistry([])
    without = plan_replay(
        PlanReplay(everything=True),
        events=store.events,
        contexts=store.contexts,
        states=store.states,
        index=MemorySearchIndex(),
        replays=store.replays,
        registry=none,
        fingerprints={},
        stale=lambda _: (),
        auditor=Auditor("cli:somebody", store.audit),
        dry_run=Processor(none).dry_run,
    )
    planned = plan(store, PlanReplay(everything=True))

    assert without.without_pipeline == ["number.sent"]
    with pytest.raises(InvalidReplay, match="numbers"):
        require_code(store, without.replay, registry_of(double))
    with pytest.raises(InvalidReplay, match="numbers"):
        require_code(store, planned.replay, none)


def test_a_run_that_stopped_goes_on_where_it_was_and_does_nothing_twice(store: MemoryStore) -> None:
    planned = plan(store, PlanReplay(everything=True))
    subscription = subscription_of(planned.replay, batch=3, lease=30)
    store.claims.register([subscription])
    engine = engine_of(store, Processor(registry_of(double), generation=planned.replay.id), subscription)
    engine.turn(subscription.name, seconds=0)
    assert not is_done(subscription, claims=store.claims)
    assert store.contexts.summary(planned.replay.id) == [("numbers", "completed", 3)]

    run(store, planned.replay)
    run(store, planned.replay)

    assert store.contexts.summary(planned.replay.id) == [("numbers", "completed", 10)]


def test_what_a_replay_declares_is_kept_and_not_carried_out(store: MemoryStore) -> None:
    planned = plan(store, PlanReplay(last=2), double, announce)

    run(store, planned.replay, double, announce)

    replayed = [row for row in store.contexts.read(Selection(), limit=100) if row.generation == planned.replay.id]
    follow_ups = Selection(where={"emits": True, "generation": 0})
    assert all(row.emits for row in replayed)
    assert store.contexts.read(follow_ups, limit=10) == []


def test_an_unknown_replay_is_not_found(store: MemoryStore) -> None:
    with pytest.raises(NotFound, match="replay 7"):
        get_replay(7, replays=store.replays)
