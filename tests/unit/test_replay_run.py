"""The run of a replay: what makes it wait or end, how fast it goes, what is decided about it for ever."""

from collections.abc import Sequence
from typing import Any

import pytest

from application.auditor import Auditor
from application.ports.claims import Claims
from application.subscription import of_pipeline
from application.use_cases.processing import Processor
from application.use_cases.replay import get_replay
from application.use_cases.replay_plans import PlanReplay
from application.use_cases.replay_run import STILL_SECONDS, Conditions, EndedEvents, MaxFailures, Pace, run_replay
from application.use_cases.replaying import (
    RunReplay,
    abort_replay,
    pause_replay,
    replay_progress,
    resume_replay,
)
from domain.errors import InvalidReplay, InvalidRequest, NotFound, Unavailable
from infrastructure.memory.store import MemoryStore
from tests.factories import NewEventFactory
from tests.replays import memory_begin, memory_run
from tests.unit.test_replay import double, picky, plan, registry_of, store

__all__ = ["store"]


class Seconds:
    """A clock that a sleep moves on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def begin(store: MemoryStore, replay_id: int = 1, nodes: Sequence[object] = (double,), **how):
    registry = registry_of(*nodes)
    auditor = Auditor("cli:somebody", store.audit)
    return memory_begin(store, RunReplay(replay_id=replay_id, **how), registry, auditor)


def prepared(store: MemoryStore, *nodes, **how):
    replay = get_replay(1, replays=store.replays)
    return memory_run(store, replay, Processor(registry_of(*nodes or (double,)), generation=1), **how)


def operator(store: MemoryStore):
    return {
        "replays": store.replays,
        "claims": store.claims,
        "controls": store.controls,
        "auditor": Auditor("cli:somebody", store.audit),
    }


def progress(store: MemoryStore):
    replay = get_replay(1, replays=store.replays)
    return replay_progress(
        replay, claims=store.claims, events=store.events, contexts=store.contexts, replays=store.replays
    )


def ended(store: MemoryStore) -> list[int]:
    return [row.event_position for row in store.contexts.results(1, after=0, limit=100)]


def test_how_far_a_replay_is_at_each_moment(store: MemoryStore) -> None:
    plan(store, PlanReplay(everything=True))
    assert (progress(store).state, progress(store).ended, progress(store).effects) == ("planned", 0, None)

    begin(store)
    run = prepared(store)
    run.engine.turn("replay-1", seconds=0)
    claim = store.claims.take(run.conditions.subscription, owner="another")
    assert claim is not None
    # What is claimed has not ended.
    assert (progress(store).state, progress(store).ended, progress(store).effects) == ("running", 3, "skip")

    store.claims.release("another")
    assert run_replay(run) == "done"
    assert (progress(store).state, progress(store).ended, progress(store).dead) == ("done", 10, 0)


def test_ended_events_are_counted_on_from_the_last_look(store: MemoryStore) -> None:
    plan(store, PlanReplay(first=2, last=9, type="number.sent"))
    begin(store)
    counting = EndedEvents(get_replay(1, replays=store.replays), claims=store.claims, events=store.events)
    run = prepared(store)
    seen = [counting.look()]
    while run.engine.turn("replay-1", seconds=0):
        seen.append(counting.look())

    assert seen == [0, 3, 6, 8]


def test_the_ended_of_a_list_are_counted_too(store: MemoryStore) -> None:
    plan(store, PlanReplay(status="succeeded", first=4))
    begin(store)
    run = prepared(store)
    run.engine.turn("replay-1", seconds=0)

    assert progress(store).ended == 3


def test_a_ramp_is_counted_in_the_order_of_the_selection(store: MemoryStore) -> None:
    plan(store, PlanReplay(first=3))
    seen = []
    for _ in range(4):
        begun = begin(store, ramp=(2, 5, 100))
        seen.append(begun.step and (begun.step.events, begun.step.position))
        assert run_replay(prepared(store, last=begun.last)) == "done"

    assert seen == [(2, 4), (5, 7), None, None]
    assert ended(store) == list(range(3, 11))


def test_claims_of_a_run_that_goes_further_keep_no_step_from_being_reached(store: MemoryStore) -> None:
    plan(store, PlanReplay(everything=True))
    begin(store)
    run_replay(prepared(store, last=3))
    store.claims.take(prepared(store).conditions.subscription, owner="another")

    begun = begin(store, ramp=(3, 8))
    assert begun.step is not None
    assert begun.step.events == 8


def test_effects_are_decided_by_the_first_run_for_ever(store: MemoryStore) -> None:
    plan(store, PlanReplay(everything=True))
    assert begin(store).effects == "skip"
    assert begin(store, effects="skip").effects == "skip"
    with pytest.raises(InvalidReplay, match="begun with --effects skip"):
        begin(store, effects="live")
    plan(store, PlanReplay(everything=True))
    assert begin(store, 2, effects="live").effects == "live"
    assert begin(store, 2).effects == "live"
    assert set(store.claims.backlog(["replay-2", "replay-2-follow-ups", "replay-2-effects"])) == {
        "replay-2", "replay-2-follow-ups", "replay-2-effects",
    }  # fmt: skip


def test_a_run_is_audited_and_a_refused_one_is_not(store: MemoryStore) -> None:
    plan(store, PlanReplay(everything=True))
    begin(store)
    with pytest.raises(InvalidReplay):
        begin(store, effects="live")
    with pytest.raises(NotFound):
        begin(store, 7)
    assert [entry.target for entry in store.audit.read(action="replay.run")] == ["1"]


def test_a_paused_replay_waits_and_goes_on_when_it_is_resumed(store: MemoryStore) -> None:
    plan(store, PlanReplay(everything=True))
    pause_replay(1, **operator(store))
    begin(store)
    assert progress(store).state == "paused"
    told: list[str] = []

    def sleep(_: float) -> None:
        assert ended(store) == []
        if len(told) == 3:
            resume_replay(1, **operator(store))

    assert run_replay(prepared(store), told=lambda what, _: told.append(what), sleep=sleep) == "done"
    assert told[:4] == ["paused", "paused", "paused", "go"]
    with pytest.raises(InvalidReplay, match="is done"):
        pause_replay(1, **operator(store))


def test_an_aborted_replay_ends_and_is_not_begun_again(store: MemoryStore) -> None:
    plan(store, PlanReplay(everything=True))
    begin(store)
    run = prepared(store, pace=Pace(one_by_one=True))
    run.engine.turn("replay-1", seconds=0)
    abort_replay(1, **operator(store))

    assert run_replay(run) == "aborted"
    assert (progress(store).state, ended(store)) == ("aborted", [1, 2, 3])
    abort_replay(1, **operator(store))
    for decide in (pause_replay, resume_replay):
        with pytest.raises(InvalidReplay, match="was aborted"):
            decide(1, **operator(store))
    with pytest.raises(InvalidReplay, match="was aborted"):
        begin(store)
    assert [entry.action for entry in store.audit.read(action="replay")][:1] == ["replay.abort"]


def test_a_replay_that_is_done_is_not_aborted(store: MemoryStore) -> None:
    plan(store, PlanReplay(everything=True))
    begin(store)
    run_replay(prepared(store))
    with pytest.raises(InvalidReplay, match="is done"):
        abort_replay(1, **operator(store))


def test_too_many_failures_end_a_run_after_the_claim_that_made_them(store: MemoryStore) -> None:
    store.events.append([NewEventFactory(type="number.sent", data='{"n": 9}', route="numbers") for _ in range(20)])
    plan(store, PlanReplay(everything=True), picky)
    begin(store, nodes=(picky,))

    assert run_replay(prepared(store, picky, max_failures=MaxFailures(3))) == "failures"
    # 8 and 9 of the first ten fail, and all that follow: claims are of three.
    [(kind, count)] = progress(store).failures
    assert (kind.split(" (")[0], count) == ("ValueError in picky", 4)
    assert progress(store).dead == 4


def test_a_share_of_failures_counts_when_enough_have_ended(store: MemoryStore) -> None:
    store.events.append([NewEventFactory(type="number.sent", data='{"n": 9}', route="numbers") for _ in range(200)])
    plan(store, PlanReplay(first=9), picky)
    begin(store, nodes=(picky,))

    assert run_replay(prepared(store, picky, max_failures=MaxFailures(50, percent=True))) == "failures"
    assert progress(store).ended == 102


@pytest.mark.parametrize(
    ("text", "limit", "written"), [("0", MaxFailures(0), "0"), ("1000", MaxFailures(1000), "1,000"),
    ("2.5%", MaxFailures(2.5, percent=True), "2.5%")],
)  # fmt: skip
def test_a_limit_is_read(text: str, limit: MaxFailures, written: str) -> None:
    assert MaxFailures.of(text) == limit
    assert str(limit) == written


@pytest.mark.parametrize("text", ["", "%", "-1", "1.5", "101%", "x", "1%%", "nan%"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="--max-failures"):
        MaxFailures.of(text)


def test_a_rate_is_kept_smoothly(store: MemoryStore) -> None:
    plan(store, PlanReplay(everything=True))
    begin(store)
    clock = Seconds()
    pace = Pace(4.0, clock=clock)
    assert pace.batch(500) == 4
    assert Pace(0.2, clock=clock).batch(500) == 1
    run = prepared(store, pace=pace, batch=2)

    assert run_replay(run, sleep=clock.sleep) == "done"
    # Two events each half a second; the last ones need not be waited for.
    assert clock.now == pytest.approx(2.0)
    assert max(clock.slept) <= 0.5


def busy(store: MemoryStore, count: int) -> None:
    store.events.append([NewEventFactory(type="number.sent", data='{"n": 1}', route="numbers") for _ in range(count)])


def conditions(store: MemoryStore, clock: Seconds, above: int = 5) -> Conditions:
    return prepared(store, live=["numbers"], yield_above=above, clock=clock).conditions


def test_live_traffic_goes_first_as_long_as_it_is_worked(store: MemoryStore) -> None:
    plan(store, PlanReplay(everything=True))
    begin(store)
    clock, live = Seconds(), of_pipeline("numbers", batch=1)
    found = conditions(store, clock)
    assert (found.look(), found.lag) == ("go", 0)

    busy(store, 20)
    seen = []
    for _ in range(16):
        clock.sleep(STILL_SECONDS - 1)
        store.claims.take(live, owner="worker")
        seen.append((found.look(), found.lag))
    assert seen[0] == ("live", 19)
    assert [standing for standing, _ in seen] == ["live"] * 14 + ["go"] * 2

    busy(store, 20)
    store.controls.pause(["numbers"])
    assert found.look() == "go"


def test_a_backlog_that_nobody_works_keeps_no_replay_waiting(store: MemoryStore) -> None:
    plan(store, PlanReplay(everything=True))
    begin(store)
    busy(store, 20)
    clock = Seconds()
    told: list[tuple[str, str]] = []
    run = prepared(store, live=["numbers"], yield_above=5, clock=clock)

    assert run_replay(run, told=lambda *said: told.append(said), sleep=clock.sleep) == "done"
    assert told[0] == ("live", "20 live events wait")
    assert clock.now == pytest.approx(STILL_SECONDS, abs=1.0)


class Away:
    """Claims of a database that is away for some calls."""

    def __init__(self, claims: Claims, times: int) -> None:
        self._claims = claims
        self.times = times

    def __getattr__(self, name: str):
        if name == "backlog" and self.times:
            self.times -= 1
            raise Unavailable("It is away.")
        return getattr(self._claims, name)


@pytest.mark.parametrize("patience", [0.0, 3.0, 30.0])
def test_a_database_that_is_away_is_waited_for_and_not_for_ever(store: MemoryStore, patience: float) -> None:
    plan(store, PlanReplay(everything=True))
    begin(store)
    clock = Seconds()
    run = prepared(store, clock=clock)
    run.engine.clock = clock
    away: Any = Away(store.claims, 20)
    run.conditions.claims = away
    told: list[str] = []

    def go() -> str:
        return run_replay(run, told=lambda what, _: told.append(what), sleep=clock.sleep, patience=patience)

    if patience < 30:
        with pytest.raises(Unavailable, match="away"):
            go()
        assert clock.now == pytest.approx(patience, abs=0.5)
    else:
        assert go() == "done"
        assert set(told) == {"away", "go"}
        assert ended(store) == list(range(1, 11))


def test_a_run_that_waits_stops_when_it_is_told_to(store: MemoryStore) -> None:
    plan(store, PlanReplay(everything=True))
    pause_replay(1, **operator(store))
    begin(store)
    run = prepared(store)

    assert run_replay(run, sleep=lambda _: run.engine.stop()) == "stopped"
