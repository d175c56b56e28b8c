"""What every keeper of claims promises about completing them: contexts, what goes back, the fence."""

import pytest

from application.ports.claims import Claim, Completion, Requeue
from application.subscription import Selection, Subscription, of_pipeline
from domain.errors import CompletionRefused
from tests.factories import NewContextFactory, NewEventFactory
from tests.stores import Store

ORDERS = of_pipeline("orders", batch=4)
PAST_IT = 0.1
"""Seconds after which the short delays have passed."""


def fill(store: Store, count: int) -> None:
    store.claims.register([ORDERS])
    store.events.append(NewEventFactory.build_batch(count))


def take(store: Store) -> Claim:
    claim = store.claims.take(ORDERS, owner="w")
    assert claim is not None
    return claim


def nothing_to_take(store: Store) -> bool:
    return store.claims.take(ORDERS, owner="other") is None


def test_a_completed_claim_is_gone_and_its_contexts_follow_the_last_ones(store: Store):
    fill(store, 6)
    for positions in ((1, 2, 3, 4), (5, 6)):
        contexts = [NewContextFactory(event_position=position) for position in positions]
        assert store.claims.complete(take(store), Completion(contexts=contexts))
    assert store.claims.backlog(["orders"])["orders"].claims == 0
    assert nothing_to_take(store)
    assert store.contexts.head() == 6
    assert [context.event_position for event in range(1, 7) for context in store.contexts.of_event(event)] == [
        1, 2, 3, 4, 5, 6,
    ]  # fmt: skip


def test_a_claim_may_end_without_contexts(store: Store):
    fill(store, 1)
    assert store.claims.complete(take(store), Completion())
    assert store.contexts.head() == 0
    assert nothing_to_take(store)


def test_each_unbroken_run_of_rows_goes_back_as_one_claim_with_its_attempt(store: Store):
    fill(store, 4)
    requeues = [Requeue(first=1, last=2, attempt=1), Requeue(first=4, last=4, attempt=3)]
    assert store.claims.complete(take(store), Completion(requeues=requeues))
    back = sorted((take(store) for _ in range(2)), key=lambda claim: claim.first)
    assert [(claim.first, claim.last, claim.attempt, claim.deaths) for claim in back] == [(1, 2, 1, 0), (4, 4, 3, 0)]
    assert nothing_to_take(store)


@pytest.mark.parametrize("delay", [0.0, 1e-7, 0.05])
def test_what_goes_back_is_due_after_its_delay(store: Store, delay: float):
    fill(store, 1)
    assert store.claims.complete(take(store), Completion(requeues=[Requeue(first=1, last=1, attempt=1, delay=delay)]))
    store.later(PAST_IT)
    assert take(store).attempt == 1


def test_what_goes_back_is_not_due_before_its_delay(store: Store):
    fill(store, 1)
    assert store.claims.complete(take(store), Completion(requeues=[Requeue(first=1, last=1, attempt=1, delay=60)]))
    store.later(PAST_IT)
    assert nothing_to_take(store)


def test_the_completion_of_a_claim_that_has_passed_to_another_does_nothing(store: Store):
    fill(store, 1)
    old = take(store)
    store.claims.abandon(old)
    new = take(store)
    completion = Completion(contexts=[NewContextFactory()], requeues=[Requeue(first=1, last=1, attempt=9)])

    assert not store.claims.complete(old, completion)

    assert store.contexts.head() == 0
    assert store.claims.backlog(["orders"])["orders"].claims == 1
    assert nothing_to_take(store)
    assert store.claims.complete(new, Completion(contexts=[NewContextFactory()]))
    assert store.contexts.head() == 1


def test_a_claim_of_a_range_that_was_split_cannot_be_completed(store: Store):
    fill(store, 2)
    old = take(store)
    store.claims.abandon(old)
    take(store)
    assert not store.claims.complete(old, Completion(contexts=[NewContextFactory()]))
    assert store.contexts.head() == 0


def test_a_claim_is_completed_once(store: Store):
    fill(store, 1)
    claim = take(store)
    completion = Completion(contexts=[NewContextFactory(status="failed")])
    assert [store.claims.complete(claim, completion) for _ in range(2)] == [True, False]
    assert store.contexts.head() == 1


def test_a_second_completed_context_is_refused_and_nothing_happens(store: Store):
    fill(store, 5)
    assert store.claims.complete(take(store), Completion(contexts=[NewContextFactory(event_position=1)]))
    claim = take(store)
    doubled = [NewContextFactory(event_position=5), NewContextFactory(event_position=1)]

    with pytest.raises(CompletionRefused):
        store.claims.complete(claim, Completion(contexts=doubled, requeues=[Requeue(first=5, last=5, attempt=1)]))

    assert store.contexts.head() == 1
    assert store.claims.backlog(["orders"])["orders"].claims == 1
    assert store.claims.heartbeat(claim, lease=60)
    assert store.claims.complete(claim, Completion(contexts=doubled[:1]))
    assert store.contexts.head() == 2


def test_a_completed_context_twice_in_one_completion_is_refused(store: Store):
    fill(store, 1)
    with pytest.raises(CompletionRefused):
        store.claims.complete(take(store), Completion(contexts=NewContextFactory.build_batch(2)))
    assert store.contexts.head() == 0


def test_another_generation_pipeline_or_status_is_no_double(store: Store):
    fill(store, 1)
    contexts = [
        NewContextFactory(),
        NewContextFactory(generation=1),
        NewContextFactory(pipeline="others"),
        NewContextFactory(status="failed"),
        NewContextFactory(status="failed"),
        NewContextFactory(status="dead"),
    ]
    assert store.claims.complete(take(store), Completion(contexts=contexts))
    assert store.contexts.head() == 6


def test_two_claims_that_would_begin_at_one_row_are_refused_and_nothing_happens(store: Store):
    fill(store, 2)
    claim = take(store)
    requeues = [Requeue(first=1, last=1, attempt=1), Requeue(first=1, last=2, attempt=1)]
    with pytest.raises(CompletionRefused):
        store.claims.complete(claim, Completion(contexts=[NewContextFactory()], requeues=requeues))
    assert store.contexts.head() == 0
    assert store.claims.complete(claim, Completion(requeues=requeues[:1]))


def test_ids_of_claims_are_never_used_again(store: Store):
    fill(store, 9)
    ids = []
    for _ in range(3):
        claim = take(store)
        ids.append(claim.id)
        assert store.claims.complete(claim, Completion())
    assert ids == sorted(set(ids))


def test_a_subscription_may_follow_the_contexts(store: Store):
    emitting = Selection(where={"emits": True})
    follow_ups = Subscription(name="follow-ups", log="task_contexts", selection=emitting, batch=2)
    store.claims.register([follow_ups])
    fill(store, 3)
    contexts = [NewContextFactory(event_position=position, emits=position != 2) for position in (1, 2, 3)]
    assert store.claims.take(follow_ups, owner="f") is None
    assert store.claims.complete(take(store), Completion(contexts=contexts))
    claim = store.claims.take(follow_ups, owner="f")
    assert claim is not None
    assert (claim.first, claim.last) == (1, 3)
    assert store.claims.take(follow_ups, owner="f") is None
