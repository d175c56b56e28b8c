"""What an operator sees of effects, and what may be done about them."""

import pytest

from application.auditor import Auditor
from application.ports.caller import CallResult
from application.ports.claims import Completion
from application.ports.effect_ledger import NewEntry
from application.use_cases import effect_states
from application.use_cases.effect_states import (
    EffectState,
    count_effects,
    effects_of,
    enable_endpoint,
    get_effect,
    retry_effect,
)
from application.use_cases.effects import EFFECTS
from domain.errors import EffectBusy, InvalidRequest, NotFound
from playhead import HttpCall
from tests.unit.effect_bench import URL, EffectBench

REFUSED = CallResult(phase="gave_up", error="no")
LATER = CallResult(phase="failed", error="later")
GONE = CallResult(phase="gave_up", gone=True, error="gone")
DIED = SystemExit()


def ports(bench: EffectBench) -> dict:
    store = bench.store
    return {"ledger": store.ledger, "contexts": store.contexts, "claims": store.claims}


def retry(bench: EffectBench, effect_id: str):
    return retry_effect(
        effect_id, dispatcher=bench.dispatcher, auditor=Auditor("cli:me", bench.store.audit), **ports(bench)
    )


def step(state: EffectState, phase: str) -> NewEntry:
    """The next step of an effect's first attempt."""
    return NewEntry(
        effect_id=state.effect_id,
        context_position=state.context_position,
        event_id=state.event_id,
        kind=state.kind,
        target=state.target,
        attempt=1,
        phase=phase,
    )


def counts(bench: EffectBench) -> dict:
    return dict(count_effects(ledger=bench.store.ledger))


def test_effects_are_listed_by_status_the_newest_context_first():
    bench = EffectBench(results=[REFUSED, LATER])
    bench.post(3)
    bench.turn()
    bench.post()

    assert [state.context_position for state in bench.states()] == [4, 3, 2, 1]
    assert [state.status for state in bench.states()] == ["pending", "done", "failed", "dead"]
    for status, position in (("pending", 4), ("done", 3), ("failed", 2), ("dead", 1)):
        assert [state.context_position for state in bench.states(status)] == [position]
    assert bench.states("unknown") == []


def test_dead_and_unknown_effects_are_counted():
    bench = EffectBench(results=[REFUSED, REFUSED, DIED])
    bench.post(3)
    assert counts(bench) == {"dead": 0, "unknown": 0}
    bench.die()
    assert counts(bench) == {"dead": 2, "unknown": 0}
    bench.clock.later(31)
    assert counts(bench) == {"dead": 2, "unknown": 1}


def test_an_effect_that_ends_while_it_is_looked_at_is_never_unknown():
    bench = EffectBench()
    bench.post()
    ledger, [state] = bench.store.ledger, bench.states()
    claim = bench.store.claims.take(bench.subscription, owner="w")
    ledger.write(step(state, "intent"))
    real = ledger.claims

    def after_its_end(subscription):
        ledger.write(step(state, "done"))
        bench.store.claims.complete(claim, Completion())
        return real(subscription)

    ledger.claims = after_its_end
    rows = bench.store.contexts.of_event(1)

    assert [each.status for each in effects_of(rows, ledger=ledger)] == ["done"]


def test_an_effect_that_is_begun_while_it_is_looked_at_is_never_unknown():
    bench = EffectBench()
    bench.post()
    ledger, [state] = bench.store.ledger, bench.states()
    real = ledger.claims

    def before_its_beginning(subscription):
        found = real(subscription)
        bench.store.claims.take(bench.subscription, owner="w")
        ledger.write(step(state, "intent"))
        return found

    ledger.claims = before_its_beginning

    assert [each.status for each in effects_of(bench.store.contexts.of_event(1), ledger=ledger)] == ["pending"]


def test_an_effect_is_told_step_by_step_also_before_it_was_tried():
    bench = EffectBench(results=[LATER])
    bench.post()
    [state] = bench.states()
    life = get_effect(state.effect_id, **ports(bench))
    assert (life.state, list(life.steps)) == (state, [])
    bench.turn()

    life = get_effect(state.effect_id, **ports(bench))
    assert [step.phase for step in life.steps] == ["intent", "failed"]
    assert life.state.status == "failed"
    with pytest.raises(NotFound, match="events show"):
        get_effect("0190d1a2-0000-7000-8000-000000000001", **ports(bench))
    with pytest.raises(NotFound):
        get_effect("what", **ports(bench))


def test_who_asks_for_an_effect_behind_many_that_wait_is_told_so(monkeypatch: pytest.MonkeyPatch):
    bench = EffectBench()
    bench.post(3)
    monkeypatch.setattr(effect_states, "_MAX_OPEN", 2)
    [hidden] = effects_of(bench.store.contexts.of_event(3), ledger=bench.store.ledger)

    with pytest.raises(NotFound, match=r"the next 2 events, and more wait.*events show"):
        get_effect(hidden.effect_id, **ports(bench))


def test_a_dead_effect_is_tried_again_when_an_operator_asks_and_asking_twice_is_asking_once():
    bench = EffectBench(HttpCall(url=URL), HttpCall(url=f"{URL}/other"), results=[REFUSED])
    bench.post()
    bench.turn()
    [dead] = bench.states("dead")

    asked = [retry(bench, dead.effect_id) for _ in range(2)]
    assert [(each.changed, each.state.status) for each in asked] == [(True, "pending"), (False, "pending")]
    bench.turn()

    assert bench.statuses() == ["done", "done"]
    assert [call.url for _, call in bench.caller.calls] == [URL, f"{URL}/other", URL]
    assert not retry(bench, dead.effect_id).changed


def test_attempts_are_counted_anew_after_an_operator_asked():
    bench = EffectBench(results=[REFUSED, LATER])
    bench.post()
    bench.turn()
    retry(bench, bench.states()[0].effect_id)
    bench.turn()

    [state] = bench.states()
    assert (state.status, state.attempts) == ("failed", 2)
    assert (state.due_at - bench.clock()).total_seconds() == 5.0


def test_a_failed_effect_is_due_now_when_an_operator_asks():
    bench = EffectBench(results=[LATER])
    bench.post()
    bench.turn()
    assert bench.turn() == 0
    assert retry(bench, bench.states()[0].effect_id).changed

    assert bench.turn() == 1
    assert bench.statuses() == ["done"]


def test_an_unknown_effect_is_due_now_when_an_operator_asks():
    bench = EffectBench(results=[DIED])
    bench.post()
    bench.die()
    bench.clock.later(31)
    assert retry(bench, bench.states("unknown")[0].effect_id).changed
    bench.turn()

    assert bench.statuses() == ["done"]
    assert bench.steps() == [(1, "intent"), (1, "retry"), (2, "intent"), (2, "done")]


def test_an_operator_is_told_that_a_worker_is_at_the_same_event():
    bench = EffectBench(HttpCall(url=URL), HttpCall(url=f"{URL}/other"), results=[REFUSED, DIED])
    bench.post()
    bench.die()
    [dead] = bench.states("dead")

    with pytest.raises(EffectBusy, match="ask again"):
        retry(bench, dead.effect_id)
    assert bench.states("dead") == [dead]


def test_calls_to_an_endpoint_that_was_enabled_are_sent_again():
    bench = EffectBench(results=[GONE])
    bench.post(2)
    bench.turn()
    assert len(bench.caller.calls) == 1
    assert [enable(bench, URL) for _ in range(2)] == [True, False]
    for state in bench.states("dead"):
        retry(bench, state.effect_id)
    bench.turn()

    assert bench.statuses() == ["done", "done"]
    with pytest.raises(InvalidRequest):
        enable(bench, "no url")


def test_the_effects_of_an_event_are_those_of_its_live_result():
    bench = EffectBench()
    bench.post()
    rows = bench.store.contexts.of_event(1)
    assert [state.status for state in effects_of(rows, ledger=bench.store.ledger)] == ["pending"]
    assert effects_of([], ledger=bench.store.ledger) == []
    replayed = EffectBench(generation=3)
    replayed.post()
    assert effects_of(replayed.store.contexts.of_event(1), ledger=replayed.store.ledger) == []
    assert bench.backlog(EFFECTS).has_due


def enable(bench: EffectBench, url: str) -> bool:
    return enable_endpoint(url, ledger=bench.store.ledger, auditor=Auditor("cli:me", bench.store.audit))
