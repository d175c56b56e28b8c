"""What every keeper of claims tells about the work that is left."""

from datetime import UTC, datetime, timedelta

from application.ports.claims import Completion, Requeue
from application.subscription import Selection, Subscription, of_pipeline
from tests.factories import EPOCH, NewContextFactory, NewEventFactory
from tests.stores import Store

ORDERS = of_pipeline("orders", batch=3)
INDEX = Subscription(name="index", log="task_contexts", selection=Selection(where={"generation": 0}))


def backlog(store: Store, name: str = "orders"):
    return store.claims.backlog([name])[name]


def test_a_new_subscription_has_nothing_to_do_on_an_empty_log(store: Store):
    store.claims.register([ORDERS])
    found = backlog(store)
    assert (found.cursor, found.head, found.claims, found.due, found.claimed) == (0, 0, 0, 0, 0)
    assert (found.has_due, found.oldest_due) == (False, None)


def test_the_backlog_counts_what_is_behind_claimed_and_due(store: Store):
    store.claims.register([ORDERS])
    store.events.append(NewEventFactory.build_batch(8))
    first = store.claims.take(ORDERS, owner="w")
    assert first is not None
    store.claims.take(ORDERS, owner="w")
    requeues = [Requeue(first=1, last=2, attempt=1), Requeue(first=3, last=3, attempt=1, delay=60)]
    store.claims.complete(first, Completion(requeues=requeues))

    found = backlog(store)

    assert (found.cursor, found.head) == (6, 8)
    assert (found.claims, found.due, found.claimed) == (3, 1, 6)
    assert found.has_due


def test_the_ranges_are_those_of_every_claim_held_or_put_back(store: Store):
    store.claims.register([ORDERS])
    store.events.append(NewEventFactory.build_batch(8))
    assert store.claims.ranges("orders") == []
    first = store.claims.take(ORDERS, owner="w")
    assert first is not None
    store.claims.take(ORDERS, owner="w")
    store.claims.complete(first, Completion(requeues=[Requeue(first=2, last=2, attempt=1)]))
    assert store.claims.ranges("orders") == [(2, 2), (4, 6)]
    assert store.claims.ranges("unheard") == []


def test_work_is_due_when_there_are_rows_behind_the_cursor_or_due_claims(store: Store):
    store.claims.register([ORDERS])
    store.events.append(NewEventFactory.build_batch(2))
    assert backlog(store).has_due
    claim = store.claims.take(ORDERS, owner="w")
    assert claim is not None
    assert not backlog(store).has_due
    store.claims.abandon(claim)
    assert backlog(store).has_due


def test_the_oldest_due_is_when_the_longest_waiting_due_claim_came_due(store: Store):
    store.claims.register([ORDERS])
    now = datetime.now(UTC)
    for due in (EPOCH + timedelta(hours=1), EPOCH, now + timedelta(hours=1)):
        store.events.append([NewEventFactory(not_before=due)])
    assert backlog(store).oldest_due == EPOCH
    assert backlog(store).due == 2
    store.claims.take(ORDERS, owner="w")
    assert backlog(store).oldest_due == EPOCH + timedelta(hours=1)
    store.claims.take(ORDERS, owner="w")
    assert backlog(store).oldest_due is None


def test_the_mark_changes_whenever_a_claim_is_made_or_taken(store: Store):
    store.claims.register([ORDERS])
    store.events.append(NewEventFactory.build_batch(4))
    marks = [backlog(store).mark]
    first = store.claims.take(ORDERS, owner="w")
    assert first is not None
    marks.append(backlog(store).mark)
    second = store.claims.take(ORDERS, owner="w")
    assert second is not None
    marks.append(backlog(store).mark)
    store.claims.abandon(second)
    store.claims.take(ORDERS, owner="w")
    marks.append(backlog(store).mark)
    store.claims.complete(first, Completion(requeues=[Requeue(first=1, last=1, attempt=1)]))
    marks.append(backlog(store).mark)
    store.claims.take(ORDERS, owner="w")
    marks.append(backlog(store).mark)
    store.events.append([NewEventFactory(not_before=EPOCH)])
    marks.append(backlog(store).mark)
    assert len(set(marks)) == len(marks)


def test_the_mark_stands_while_nobody_claims(store: Store):
    store.claims.register([ORDERS])
    store.events.append(NewEventFactory.build_batch(4))
    before = backlog(store).mark
    store.events.append(NewEventFactory.build_batch(4))
    assert backlog(store).mark == before


def test_each_subscription_has_a_backlog_on_its_own_log(store: Store):
    store.claims.register([ORDERS, INDEX, of_pipeline("others")])
    store.events.append(NewEventFactory.build_batch(3))
    claim = store.claims.take(ORDERS, owner="w")
    assert claim is not None
    store.claims.complete(claim, Completion(contexts=[NewContextFactory()]))

    found = store.claims.backlog(["index", "orders", "unknown"])

    assert set(found) == {"index", "orders"}
    assert (found["index"].head, found["index"].cursor, found["index"].has_due) == (1, 0, True)
    assert (found["orders"].head, found["orders"].cursor, found["orders"].has_due) == (3, 3, False)
    assert store.claims.backlog([]) == {}
    assert store.claims.subscriptions() == ["index", "orders", "others"]


def test_the_backlogs_are_in_the_order_they_were_asked_for(store: Store):
    store.claims.register([ORDERS, INDEX])
    assert list(store.claims.backlog(["orders", "unknown", "index"])) == ["orders", "index"]
    assert list(store.claims.backlog(["index", "orders"])) == ["index", "orders"]


def test_the_owners_are_those_whose_leases_have_not_run_out(store: Store):
    store.claims.register([ORDERS, of_pipeline("others")])
    store.events.append(NewEventFactory.build_batch(9))
    assert store.claims.owners("orders") == []
    for owner in ("b", "a", "a"):
        assert store.claims.take(ORDERS, owner=owner) is not None
    assert store.claims.owners("orders") == ["a", "b"]
    store.claims.end_leases("b")
    assert store.claims.owners("orders") == ["a"]
    store.claims.release("a")
    assert store.claims.owners("orders") == []
    assert store.claims.owners("unheard") == []
