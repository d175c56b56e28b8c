"""What every keeper of dead letters promises: what is one, how they are grouped, what requeueing and discarding do."""

from datetime import timedelta

from application.ports.claims import Completion, Requeue
from application.ports.dead_letters import DeadLetterFilter
from application.subscription import Lane, of_pipeline
from tests.factories import NewContextFactory, NewEventFactory
from tests.stores import Store

ORDERS = of_pipeline("orders", batch=20)
LANE = of_pipeline("orders", lane=Lane(0, 1), batch=20, hold=True)
ALL = DeadLetterFilter()


def end(store: Store, letters: str, *, subscription=ORDERS) -> None:
    """One event a letter: `d` dies, `b` dies of another failure, `c` completes, `r` is tried again."""
    store.claims.register([subscription])
    store.events.append(NewEventFactory.build_batch(len(letters)))
    claim = store.claims.take(subscription, owner="w")
    assert claim is not None
    contexts, requeues = [], []
    statuses = {"d": "dead", "b": "dead", "c": "completed", "r": "failed"}
    for position, letter in enumerate(letters, claim.first):
        failure = {"d": "ValueError in add", "b": "KeyError in look"}.get(letter)
        contexts.append(NewContextFactory(event_position=position, status=statuses[letter], failure=failure))
        if letter == "r":
            requeues.append(Requeue(first=position, last=position, attempt=1, delay=60))
    assert store.claims.complete(claim, Completion(contexts=contexts, requeues=requeues))


def positions(store: Store, wanted: DeadLetterFilter = ALL, **options) -> list[int]:
    return [letter.event.position for letter in store.dead_letters.find(wanted, **{"limit": 99, **options})]


def status(store: Store, position: int) -> str:
    letter = next(event for event in store.events.read(ORDERS.selection, limit=99) if event.position == position)
    return store.states.of([letter])[0].status


def discarded(position: int):
    return NewContextFactory(event_position=position, status="discarded")


def test_an_event_whose_last_context_is_dead_is_a_dead_letter(store: Store):
    end(store, "cdrd")
    assert positions(store) == [4, 2]
    assert [letter.context.status for letter in store.dead_letters.of([1, 2, 3, 4])] == ["dead", "dead"]


def test_letters_come_by_the_page_newest_event_first(store: Store):
    end(store, "ddddd")
    assert positions(store, limit=2) == [5, 4]
    assert positions(store, limit=2, before=4) == [3, 2]
    assert positions(store, before=1) == []


def test_every_filter_narrows(store: Store):
    end(store, "db")
    died = store.dead_letters.of([1])[0].context.recorded_at
    second = timedelta(seconds=1)
    assert positions(store, DeadLetterFilter(failure="KeyError in look")) == [2]
    assert positions(store, DeadLetterFilter(pipeline="orders")) == [2, 1]
    assert positions(store, DeadLetterFilter(pipeline="others")) == []
    assert positions(store, DeadLetterFilter(type="order.placed")) == [2, 1]
    assert positions(store, DeadLetterFilter(type="order.lost")) == []
    assert positions(store, DeadLetterFilter(since=died, until=died + second)) == [2, 1]
    assert positions(store, DeadLetterFilter(since=died + second)) == []
    assert positions(store, DeadLetterFilter(until=died)) == []


def test_letters_are_grouped_by_the_kind_of_their_failure(store: Store):
    end(store, "dbdc")
    groups = store.dead_letters.groups(ALL)
    found = [(group.pipeline, group.failure, group.count) for group in groups]
    assert found == [("orders", "ValueError in add", 2), ("orders", "KeyError in look", 1)]
    assert all(group.first_at <= group.last_at for group in groups)
    assert [group.count for group in store.dead_letters.groups(DeadLetterFilter(failure="KeyError in look"))] == [1]


def test_a_requeued_letter_is_due_now_as_if_it_had_not_run(store: Store):
    end(store, "dd")
    assert store.dead_letters.requeue([2]) == [2]
    assert (status(store, 1), status(store, 2)) == ("failed", "queued")
    assert positions(store) == [1]
    claim = store.claims.take(ORDERS, owner="w")
    assert claim is not None
    assert (claim.first, claim.last, claim.attempt, claim.deaths) == (2, 2, 0, 0)
    contexts = [NewContextFactory(event_position=2)]
    assert store.claims.complete(claim, Completion(contexts=contexts))
    assert status(store, 2) == "succeeded"


def test_requeueing_again_or_what_is_no_dead_letter_changes_nothing(store: Store):
    end(store, "cdr")
    assert store.dead_letters.requeue([1, 2, 3, 99]) == [2]
    assert store.dead_letters.requeue([1, 2, 3, 99]) == []
    assert store.claims.backlog(["orders"])["orders"].claims == 2


def test_a_discarded_letter_has_ended(store: Store):
    end(store, "dd")
    assert store.dead_letters.discard([discarded(1)]) == [1]
    assert status(store, 1) == "discarded"
    assert positions(store) == [2]
    assert store.claims.backlog(["orders"])["orders"].claims == 0
    assert [context.status for context in store.contexts.of_event(1)] == ["dead", "discarded"]


def test_discarding_again_or_what_is_no_dead_letter_changes_nothing(store: Store):
    end(store, "cd")
    assert store.dead_letters.discard([discarded(1), discarded(2)]) == [2]
    head = store.contexts.head()
    assert store.dead_letters.discard([discarded(1), discarded(2)]) == []
    assert store.dead_letters.requeue([2]) == []
    assert store.contexts.head() == head


def hold_at_two(store: Store) -> None:
    store.claims.register([LANE])
    store.events.append(NewEventFactory.build_batch(3))
    claim = store.claims.take(LANE, owner="w")
    assert claim is not None
    contexts = [NewContextFactory(event_position=1), NewContextFactory(event_position=2, status="dead")]
    back = [Requeue(first=3, last=3, attempt=0)]
    assert store.claims.complete(claim, Completion(contexts=contexts, requeues=back, hold=2))
    assert not store.claims.claimable(LANE)


def test_a_lane_goes_on_with_the_letter_that_held_it(store: Store):
    hold_at_two(store)
    assert store.dead_letters.requeue([2]) == [2]
    claim = store.claims.take(LANE, owner="w")
    assert claim is not None
    assert claim.first == 2
    assert store.claims.take(LANE, owner="w") is None
    assert store.claims.complete(claim, Completion())
    assert store.claims.take(LANE, owner="w").first == 3


def test_a_lane_goes_on_behind_a_letter_that_was_discarded(store: Store):
    hold_at_two(store)
    assert store.dead_letters.discard([discarded(2)]) == [2]
    assert store.claims.take(LANE, owner="w").first == 3


def test_a_lane_goes_on_though_the_type_of_its_letter_moved_to_another_pipeline(store: Store):
    """Its events were routed to the lane, and the last of them was run by the pipeline that has its type now."""
    for decide in (lambda: store.dead_letters.requeue([1]), lambda: store.dead_letters.discard([discarded(2)])):
        store.claims.register([LANE, of_pipeline("others")])
        store.events.append(NewEventFactory.build_batch(1))
        claim = store.claims.take(LANE, owner="w")
        assert claim is not None
        died = NewContextFactory(event_position=claim.first, status="dead", pipeline="others")
        assert store.claims.complete(claim, Completion(contexts=[died], hold=claim.first))

        assert decide() == [claim.first]
        assert store.claims.backlog([LANE.name])[LANE.name].held is None


def test_a_lane_stays_held_while_another_letter_is_decided(store: Store):
    end(store, "d", subscription=LANE)
    hold_at_three = Completion(contexts=[NewContextFactory(event_position=3, status="dead")], hold=3)
    store.events.append(NewEventFactory.build_batch(2))
    claim = store.claims.take(LANE, owner="w")
    assert store.claims.complete(claim, hold_at_three)
    assert store.dead_letters.requeue([1]) == [1]
    assert store.claims.backlog([LANE.name])[LANE.name].held == 3
