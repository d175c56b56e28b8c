"""The answers of calls, appended as events."""

import json

from application.ports.caller import Answer, CallResult
from application.subscription import Selection
from playhead import HttpCall
from tests.unit.effect_bench import URL, EffectBench


def test_the_answer_is_appended_as_an_event_that_the_call_caused():
    answer = Answer(status=201, content_type="text/plain", body="späŧ \x00")
    bench = EffectBench(HttpCall(url=URL, answer_type="order.told"), results=[CallResult(phase="done", answer=answer)])
    bench.post(subject="o-1")
    bench.turn()

    [cause, told] = bench.store.events.read(Selection(), limit=9)
    assert (told.type, told.route, told.cause, told.depth) == ("order.told", "told", cause.id, 1)
    assert (told.source, told.subject) == ("orders", "o-1")
    effect_id = bench.caller.calls[0][0]
    assert json.loads(told.data) == {
        "effect_id": effect_id, "status": 201, "content_type": "text/plain", "body": "späŧ \x00"
    }  # fmt: skip
    assert bench.states()[0].detail["answer_event"] == told.id


def test_the_first_answer_stands_when_a_worker_died_before_the_outcome():
    bench = EffectBench(HttpCall(url=URL, answer_type="order.told"))
    bench.post()
    real = bench.store.ledger.write

    def die_at_outcome(entry):
        if entry.phase == "done":
            raise SystemExit
        return real(entry)

    bench.store.ledger.write = die_at_outcome
    bench.die()
    bench.store.ledger.write = real
    bench.caller.results = [CallResult(phase="done", answer=Answer(status=200, content_type=None, body="again"))]
    bench.clock.later(31)
    bench.turn()

    [_, told] = bench.store.events.read(Selection(), limit=9)
    assert json.loads(told.data)["body"] == "ok"
    assert bench.states()[0].detail["answer_event"] == told.id


def test_an_answer_that_does_not_fit_its_type_is_told_in_the_ledger_and_the_call_is_done():
    bench = EffectBench(HttpCall(url=URL, answer_type="order.placed"))
    bench.post()
    bench.turn()

    [state] = bench.states()
    assert state.status == "done"
    assert "number" in state.detail["answer_refused"]
    assert bench.store.events.head() == 1
