"""What every ledger of declared calls promises: steps once an attempt, what is last, claims, endpoints."""

from datetime import UTC, datetime, timedelta

import pytest

from application.ports.claims import Completion
from application.ports.effect_ledger import NewEntry
from application.subscription import Selection, Subscription, of_pipeline
from tests.factories import NewContextFactory, NewEventFactory, event_id
from tests.stores import Store

EFFECTS = Subscription(
    name="effects",
    log="task_contexts",
    selection=Selection(where={"calls": True, "generation": 0}),
    batch=1,
    lease=0.3,
)


def step(number: int, phase: str, attempt: int = 1, **changes) -> NewEntry:
    """A step of the effect of this number, which context 1 declares."""
    members = {
        "effect_id": event_id(number),
        "context_position": 1,
        "event_id": event_id(0),
        "kind": "http_call",
        "target": "https://example.org/hook",
        "attempt": attempt,
        "phase": phase,
    }
    return NewEntry(**{**members, **changes})


def phases(store: Store, number: int) -> list[tuple[int, str]]:
    return [(entry.attempt, entry.phase) for entry in store.ledger.of_effect(event_id(number))]


def declared(store: Store) -> None:
    """One context that declares calls."""
    orders = of_pipeline("orders")
    store.claims.register([orders, EFFECTS])
    store.events.append([NewEventFactory()])
    claim = store.claims.take(orders, owner="w")
    assert claim is not None
    assert store.claims.complete(claim, Completion(contexts=[NewContextFactory(calls=True)]))


def test_a_step_is_read_back_as_it_was_written(store: Store):
    written = step(1, "failed", detail={"status": 503, "body": "späŧ \x00", "retry_in": 5.0})
    assert store.ledger.write(written)
    [entry] = store.ledger.of_effect(event_id(1))
    assert {name: getattr(entry, name) for name in NewEntry.__slots__} == {
        name: getattr(written, name) for name in NewEntry.__slots__
    }
    assert abs(entry.recorded_at - store.ledger.now()) < timedelta(minutes=1)
    assert abs(entry.recorded_at - datetime.now(UTC)) < timedelta(minutes=5)


def test_an_attempt_has_at_most_one_intent_one_outcome_and_one_retry(store: Store):
    for phase in ("intent", "intent", "failed", "done", "gave_up", "disabled", "failed", "retry", "retry"):
        store.ledger.write(step(1, phase))
    assert phases(store, 1) == [(1, "intent"), (1, "failed"), (1, "retry")]
    assert not store.ledger.write(step(1, "intent"))
    assert store.ledger.write(step(1, "intent", attempt=2))
    assert store.ledger.write(step(2, "intent"))


def test_the_steps_of_contexts_come_in_order(store: Store):
    for number, context in ((1, 4), (2, 5), (3, 6), (1, 4)):
        store.ledger.write(step(number, "intent", attempt=number + context, context_position=context))
    store.ledger.write(step(1, "done", attempt=5, context_position=4))
    found = store.ledger.of_contexts([4, 6])
    assert [(entry.effect_id, entry.phase) for entry in found] == [
        (event_id(1), "intent"), (event_id(3), "intent"), (event_id(1), "done")
    ]  # fmt: skip
    assert store.ledger.of_contexts([]) == store.ledger.of_contexts([9]) == []


def test_effects_are_found_by_their_last_step_the_newest_first(store: Store):
    for number in (1, 2, 3):
        store.ledger.write(step(number, "intent"))
    for number, phase in ((1, "gave_up"), (2, "done"), (3, "disabled")):
        store.ledger.write(step(number, phase))
    dead = ["gave_up", "disabled"]
    assert [entry.effect_id for entry in store.ledger.last(dead, limit=9)] == [event_id(3), event_id(1)]
    assert [entry.effect_id for entry in store.ledger.last(dead, limit=1)] == [event_id(3)]
    assert [entry.effect_id for entry in store.ledger.last(["done"], limit=9)] == [event_id(2)]
    assert store.ledger.count_last(dead) == 2
    store.ledger.write(step(3, "retry"))
    assert store.ledger.count_last(dead) == 1
    assert store.ledger.last(["retry"], limit=9)[0].effect_id == event_id(3)


def test_claims_say_whether_a_worker_holds_them(store: Store):
    declared(store)
    assert store.ledger.claims("effects") == []
    claim = store.claims.take(EFFECTS, owner="w")
    assert claim is not None
    [held] = store.ledger.claims("effects")
    assert (held.context_position, held.leased) == (1, True)
    store.later(0.35)
    assert [each.leased for each in store.ledger.claims("effects")] == [False]
    assert store.ledger.claims("orders") == []


def test_reopening_makes_a_claim_that_is_due_and_is_idempotent(store: Store):
    declared(store)
    claim = store.claims.take(EFFECTS, owner="w")
    assert store.claims.complete(claim, Completion())
    assert store.claims.take(EFFECTS, owner="w") is None
    for _ in range(2):
        assert store.ledger.reopen(step(1, "retry"), subscription="effects")
    assert phases(store, 1) == [(1, "retry")]
    again = store.claims.take(EFFECTS, owner="w")
    assert again is not None
    assert (again.first, again.last, again.deaths) == (1, 1, 0)
    assert store.claims.take(EFFECTS, owner="w") is None


def test_reopening_waits_for_nobody_who_holds_the_claim_and_brings_a_parked_one_forward(store: Store):
    declared(store)
    claim = store.claims.take(EFFECTS, owner="w")
    assert not store.ledger.reopen(step(1, "retry"), subscription="effects")
    assert phases(store, 1) == []
    store.later(0.35)
    assert store.ledger.reopen(step(1, "retry"), subscription="effects")
    again = store.claims.take(EFFECTS, owner="w")
    assert again is not None
    assert (again.id, again.deaths) == (claim.id, 1)


@pytest.mark.parametrize("url", ["https://example.org/", "https://example.org/ä"])
def test_the_last_word_about_an_endpoint_holds(store: Store, url: str):
    assert not store.ledger.is_disabled(url)
    assert not store.ledger.switch(url, enabled=True, reason="r")
    assert store.ledger.switch(url, enabled=False, reason="r")
    assert not store.ledger.switch(url, enabled=False, reason="r")
    assert store.ledger.is_disabled(url)
    assert not store.ledger.is_disabled(url + "other")
    assert store.ledger.switch(url, enabled=True, reason="r")
    assert not store.ledger.is_disabled(url)
