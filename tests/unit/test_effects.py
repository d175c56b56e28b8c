"""Carrying out calls: each step in the ledger, at least once, until done or given up."""

import json

import pytest

from application.effect_history import SCHEDULE
from application.ports.caller import CallResult
from application.ports.effect_ledger import NewEntry
from application.subscription import Selection
from application.use_cases.effects import EFFECTS, MAX_CALLS
from infrastructure.memory.caller import DONE
from playhead import Email, HttpCall
from tests.unit.effect_bench import URL, EffectBench

LATER = CallResult(phase="failed", error="It answered 500.")
GONE = CallResult(phase="gave_up", gone=True, error="The endpoint is gone (410).")
DIED = SystemExit()


def test_a_call_is_carried_out_once_with_its_intent_before_and_its_outcome_after():
    bench = EffectBench()
    bench.post()
    assert bench.statuses() == ["pending"]
    bench.turn()

    [(effect_id, call)] = bench.caller.calls
    [state] = bench.states()
    assert (state.effect_id, state.status, state.attempts, state.target) == (effect_id, "done", 1, call.url)
    assert bench.steps() == [(1, "intent"), (1, "done")]
    assert state.detail == {"status": 200, "body": "ok"}
    assert bench.turn() == 0


def test_a_context_that_declares_calls_rings_their_subscription():
    bench = EffectBench()
    bench.post()

    assert (EFFECTS, None) in bench.dispatcher.rings


def test_a_failed_call_is_tried_again_by_the_schedule_and_then_given_up():
    bench = EffectBench(results=[LATER] * 99)
    bench.post()
    bench.turn()
    for tried, wait in enumerate(SCHEDULE.schedule, 1):
        [state] = bench.states()
        assert (state.status, state.attempts) == ("failed", tried)
        assert (state.due_at - bench.clock()).total_seconds() == wait
        bench.clock.later(wait - 1)
        assert bench.turn() == 0
        bench.clock.later(1)
        assert bench.turn() == 1

    [state] = bench.states()
    assert (state.status, state.attempts, state.detail["error"]) == ("dead", 10, "It answered 500.")
    assert bench.steps()[-1] == (10, "gave_up")
    bench.clock.later(1e6)
    assert bench.turn() == 0


def test_what_the_other_side_asks_to_wait_is_waited_within_the_cap():
    waits = [None, 60.0, 1.0, 1e9]
    bench = EffectBench(results=[CallResult(phase="failed", retry_after=wait) for wait in waits])
    bench.post()
    seen = []
    for _ in waits:
        bench.turn()
        [state] = bench.states()
        seen.append((state.due_at - bench.clock()).total_seconds())
        bench.clock.later(seen[-1])

    assert seen == [5.0, 300.0, 1800.0, 86400.0]


def test_calls_that_are_done_stay_done_while_others_of_their_context_are_tried_again():
    bench = EffectBench(*(HttpCall(url=f"{URL}/{n}") for n in range(3)), results=[DONE, LATER, DONE])
    bench.post()
    bench.turn()
    assert sorted(bench.statuses()) == ["done", "done", "failed"]
    bench.clock.later(5)
    bench.turn()

    assert bench.statuses() == ["done"] * 3
    assert [call.url[-1] for _, call in bench.caller.calls] == ["0", "1", "2", "1"]


def test_each_call_is_due_by_its_own_schedule():
    asked = CallResult(phase="failed", retry_after=60.0)
    bench = EffectBench(HttpCall(url=f"{URL}/0"), HttpCall(url=f"{URL}/1"), results=[LATER, asked])
    bench.post()
    bench.turn()
    bench.clock.later(5)
    bench.turn()
    assert len(bench.caller.calls) == 3
    bench.clock.later(55)
    bench.turn()

    assert [call.url[-1] for _, call in bench.caller.calls] == ["0", "1", "0", "1"]


def test_a_worker_that_dies_between_intent_and_outcome_leaves_unknown_and_the_repeat_has_the_same_id():
    bench = EffectBench(results=[DIED])
    bench.post()
    bench.die()
    assert bench.statuses() == ["pending"]
    bench.clock.later(31)
    [state] = bench.states("unknown")
    bench.turn()

    assert [effect_id for effect_id, _ in bench.caller.calls] == [state.effect_id] * 2
    assert bench.steps() == [(1, "intent"), (2, "intent"), (2, "done")]
    assert bench.statuses() == ["done"]


def test_a_call_at_which_three_workers_died_is_given_up_and_its_neighbours_are_carried_out():
    bench = EffectBench(HttpCall(url=f"{URL}/0"), HttpCall(url=f"{URL}/1"), results=[DIED] * 3)
    bench.post()
    for _ in range(3):
        bench.die()
        bench.clock.later(31)
    bench.turn()

    assert [(state.status, state.attempts) for state in sorted(bench.states(), key=lambda state: state.target)] == [
        ("dead", 3), ("done", 1)
    ]  # fmt: skip
    assert "3 workers died" in bench.states("dead")[0].detail["error"]


def test_a_defect_of_a_caller_is_a_failed_attempt():
    bench = EffectBench(results=[ZeroDivisionError("oops")])
    bench.post()
    bench.turn()

    assert bench.states("failed")[0].detail["error"] == "ZeroDivisionError: oops"


def test_an_endpoint_that_is_gone_gets_no_further_call():
    bench = EffectBench(HttpCall(url=URL), HttpCall(url=f"{URL}/other"), results=[GONE])
    bench.post(3)
    bench.turn()

    assert [call.url for _, call in bench.caller.calls] == [URL] + [f"{URL}/other"] * 3
    dead = bench.states("dead")
    assert len(dead) == 3
    assert sum("disabled" in state.detail["error"] for state in dead) == 2
    assert bench.steps().count((1, "disabled")) == 2


def test_a_stopping_worker_hands_back_what_it_has_not_begun():
    bench = EffectBench(HttpCall(url=f"{URL}/0"), HttpCall(url=f"{URL}/1"))
    bench.post()
    real = bench.caller.call

    def call_and_stop(call, *, effect_id):
        bench.worker.stop()
        return real(call, effect_id=effect_id)

    bench.caller.call = call_and_stop
    bench.turn()

    assert sorted(bench.statuses()) == ["done", "pending"]
    assert bench.backlog(EFFECTS).due == 1


def test_what_a_replay_declares_is_not_carried_out():
    bench = EffectBench(generation=1)
    bench.post()
    assert [row.calls for row in bench.store.contexts.read(Selection(), limit=9)] == [True]

    assert bench.turn() == 0
    assert bench.caller.calls == bench.states() == []


def test_an_attempt_that_another_worker_began_meanwhile_is_left_to_it():
    bench = EffectBench()
    bench.post()
    ledger, [state] = bench.store.ledger, bench.states()
    real = ledger.is_disabled

    def begun_elsewhere(url):
        ledger.write(
            NewEntry(
                effect_id=state.effect_id, context_position=1, event_id=state.event_id, kind="http_call", target=url,
                attempt=1, phase="intent",
            )
        )  # fmt: skip
        ledger.is_disabled = real
        return real(url)

    ledger.is_disabled = begun_elsewhere
    bench.worker.clock = iter(range(0, 99_999, 4000)).__next__  # one claim a turn
    bench.turn()

    assert bench.caller.calls == []
    assert bench.backlog(EFFECTS).due == 1


@pytest.mark.parametrize(
    ("calls", "changes", "why"),
    [
        ([HttpCall(url=URL, answer_type="order.tolled")], {}, "order.told"),
        ([HttpCall(url=URL, answer_type="order.told")], {"depth": 16}, "a loop"),
        ([Email(to="a@b.c", subject="s", text="t")] * (MAX_CALLS + 1), {}, "at most 100"),
        ([Email(to="=?utf-8?q?a=40b.org=2C_x?=@b.c", subject="s", text="t")], {}, "not an e-mail address"),
    ],
)
def test_calls_that_the_run_can_know_to_be_wrong_end_it(calls, changes, why):
    bench = EffectBench(*calls)
    bench.post(**changes)

    [context] = bench.store.contexts.read(Selection(), limit=9)
    assert (context.status, context.calls) == ("dead", False)
    assert why in json.loads(context.context)["run"]["failure"]["message"]
    assert bench.turn() == 0
