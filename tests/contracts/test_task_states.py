"""What every reader of states promises: one word for how far an event is, the same one by one and by the page."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

from application.ports.claims import Claim, Completion, Requeue
from application.ports.context_log import NewContext
from application.ports.task_states import EventFilter, TaskState, TaskStatus
from application.subscription import Selection, of_pipeline
from domain.events import RecordedEvent
from tests.factories import EPOCH, NewContextFactory, NewEventFactory
from tests.stores import Store

ORDERS = of_pipeline("orders", batch=1)
STATUSES: tuple[TaskStatus, ...] = get_args(TaskStatus)


def append(store: Store, **changes) -> RecordedEvent:
    store.claims.register([ORDERS])
    event = NewEventFactory(**changes)
    store.events.append([event])
    found = store.events.get(event.id)
    assert found is not None
    return found


def take(store: Store) -> Claim:
    claim = store.claims.take(ORDERS, owner="w")
    assert claim is not None
    return claim


def complete(store: Store, *contexts: NewContext, back: Requeue | None = None) -> None:
    completion = Completion(contexts=contexts, requeues=[back] if back else [])
    assert store.claims.complete(take(store), completion)


def state(store: Store, event: RecordedEvent) -> TaskState:
    """The state of an event, after a look that its status finds it and no other does."""
    [found] = store.states.of([event])
    for status in STATUSES:
        listed = [each.event for each in store.states.find(EventFilter(status=status), limit=99)]
        assert (event in listed) == (status == found.status), status
    return found


def test_an_event_that_nobody_took_is_queued(store: Store):
    assert state(store, append(store)) == TaskState(status="queued")


def test_an_event_without_a_route_is_unrouted(store: Store):
    assert state(store, append(store, route=None)) == TaskState(status="unrouted")


def test_an_event_that_waits_for_its_time_is_queued_and_says_until_when(store: Store):
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    assert state(store, append(store, not_before=due)) == TaskState(status="queued", due_at=due)


def test_an_event_with_a_live_lease_is_running_and_tells_its_progress(store: Store):
    event = append(store)
    claim = take(store)
    assert state(store, event) == TaskState(status="running")
    progress = {"current_step": "price", "progress": 0.5, "odd": "\u0000"}
    assert store.claims.heartbeat(claim, lease=60, progress=progress)
    assert state(store, event) == TaskState(status="running", progress=progress)
    assert store.claims.heartbeat(claim, lease=60)
    assert state(store, event).progress == progress


def test_an_event_whose_worker_died_is_queued_again(store: Store):
    event = append(store)
    store.claims.abandon(take(store))
    found = state(store, event)
    assert (found.status, found.attempt, found.progress) == ("queued", 0, None)
    assert found.due_at is not None
    assert state(store, event).status == "queued"


def test_the_progress_of_a_worker_that_died_is_not_that_of_the_next(store: Store):
    event = append(store)
    claim = take(store)
    store.claims.heartbeat(claim, lease=60, progress={"progress": 0.9})
    store.claims.abandon(claim)
    take(store)
    assert state(store, event) == TaskState(status="running")


def test_an_event_that_waits_after_a_failed_run_is_retrying(store: Store):
    event = append(store)
    complete(store, NewContextFactory(status="failed"), back=Requeue(first=1, last=1, attempt=1, delay=60))
    found = state(store, event)
    assert (found.status, found.attempt, found.context_position) == ("retrying", 1, 1)
    assert found.due_at is not None


def test_an_event_that_runs_again_is_running_at_its_attempt(store: Store):
    event = append(store)
    complete(store, NewContextFactory(status="failed"), back=Requeue(first=1, last=1, attempt=1))
    take(store)
    assert state(store, event) == TaskState(status="running", attempt=1)


def test_an_event_that_was_handed_back_untried_is_queued(store: Store):
    event = append(store)
    complete(store, back=Requeue(first=1, last=1, attempt=0))
    assert state(store, event).status == "queued"


def test_an_event_with_a_completed_context_has_succeeded_whatever_comes_later(store: Store):
    event = append(store)
    contexts = [NewContextFactory(status=status) for status in ("failed", "completed", "failed", "dead")]
    complete(store, *contexts, back=Requeue(first=1, last=1, attempt=1))
    assert state(store, event) == TaskState(status="succeeded", context_position=2)
    take(store)
    assert state(store, event) == TaskState(status="succeeded", context_position=2)


def test_an_event_whose_last_context_is_dead_has_failed(store: Store):
    event = append(store)
    complete(store, NewContextFactory(status="failed"), NewContextFactory(status="dead"))
    assert state(store, event) == TaskState(status="failed", context_position=2)


def test_an_event_whose_last_context_is_discarded_is_discarded(store: Store):
    event = append(store)
    complete(store, NewContextFactory(status="dead"), NewContextFactory(status="discarded"))
    assert state(store, event) == TaskState(status="discarded", context_position=2)


def test_a_claim_on_a_dead_event_counts_more_than_its_context(store: Store):
    event = append(store)
    complete(store, NewContextFactory(status="dead"), back=Requeue(first=1, last=1, attempt=2))
    assert state(store, event).status == "retrying"


def test_a_state_names_the_claim_that_covers_its_event(store: Store):
    first, second = append(store), append(store)
    assert store.states.of([first])[0].claim is None
    wide = store.claims.take(replace(ORDERS, batch=2), owner="w")
    assert wide is not None
    for found in store.states.of([first, second]):
        assert found.claim is not None
        assert (found.claim.subscription, found.claim.first, found.claim.last) == ("orders", 1, 2)
        assert (found.claim.owner, found.claim.attempt, found.claim.deaths) == ("w", 0, 0)
        assert found.claim.available_at > store.events.now()
    back = Requeue(first=1, last=1, attempt=1, delay=60)
    assert store.claims.complete(wide, Completion(contexts=[NewContextFactory(event_position=2)], requeues=[back]))
    waiting, ended = store.states.of([first, second])
    assert waiting.claim is not None
    assert (waiting.claim.owner, waiting.claim.last, waiting.claim.attempt) == (None, 1, 1)
    assert waiting.claim.available_at == waiting.due_at
    assert ended.claim is None


def test_contexts_of_replays_do_not_count(store: Store):
    event = append(store)
    complete(
        store,
        NewContextFactory(status="dead"),
        NewContextFactory(generation=1),
        NewContextFactory(generation=2, status="discarded"),
    )
    assert state(store, event) == TaskState(status="failed", context_position=1)


def test_claims_of_another_subscription_do_not_count(store: Store):
    event = append(store)
    complete(store, NewContextFactory(status="dead"))
    replay = replace(ORDERS, name="replay-1", route=None, selection=Selection(positions=(1,)))
    store.claims.register([replay])
    assert store.claims.take(replay, owner="w") is not None
    assert state(store, event).status == "failed"


def test_a_range_claim_stands_for_every_event_of_its_route_in_it_but_direct_ones(store: Store):
    due = datetime.now(UTC) + timedelta(hours=1)
    events = [append(store), append(store, route="others"), append(store, not_before=due), append(store, route=None)]
    events.append(append(store))
    store.claims.register([of_pipeline("others")])
    assert store.claims.take(replace(ORDERS, batch=9), owner="w") is not None
    assert [found.status for found in store.states.of(events)] == ["running", "queued", "queued", "unrouted", "running"]
    for event in events:
        state(store, event)


def test_a_direct_event_that_ended_does_not_run_with_the_range_around_it(store: Store):
    append(store)
    direct = append(store, not_before=EPOCH)
    append(store)
    assert store.claims.take(replace(ORDERS, batch=2), owner="w", due_first=False) is not None
    complete(store, NewContextFactory(event_position=2, status="dead"))
    assert state(store, direct).status == "failed"


def test_states_come_in_the_order_asked_for(store: Store):
    events = [append(store), append(store, route=None), append(store)]
    complete(store, NewContextFactory(event_position=1))
    assert [found.status for found in store.states.of(events[::-1])] == ["queued", "unrouted", "succeeded"]
    assert store.states.of([]) == []


def test_every_event_is_found_by_its_status_whatever_happened_before(store: Store):
    chance = random.Random(7)
    due = datetime.now(UTC) + timedelta(hours=1)
    routes = chance.choices([{}, {"route": None}, {"not_before": EPOCH}, {"not_before": due}], [6, 1, 1, 1], k=60)
    store.claims.register([ORDERS])
    store.events.append([NewEventFactory(**changes) for changes in routes])
    for _ in range(45):
        claim = store.claims.take(
            replace(ORDERS, batch=chance.randint(1, 3)), owner="w", due_first=chance.random() < 0.5
        )
        if claim is None:
            break
        rows = store.events.read(Selection(positions=tuple(range(claim.first, claim.last + 1))), limit=99)
        own = [row for row in rows if claim.first == claim.last or (row.route and not routes[row.position - 1])]
        end = chance.choice(["completed", "dead", "discarded", "failed", "abandon", "keep", "hand back"])
        back = [Requeue(first=claim.first, last=claim.last, attempt=claim.attempt + (end == "failed"), delay=60)]
        if end == "abandon":
            store.claims.abandon(claim)
        elif end in {"failed", "hand back"}:
            contexts = [NewContextFactory(event_position=row.position, status="failed") for row in own]
            store.claims.complete(claim, Completion(contexts=contexts if end == "failed" else (), requeues=back))
        elif end != "keep":
            contexts = [NewContextFactory(event_position=row.position, status=end) for row in own]
            store.claims.complete(claim, Completion(contexts=contexts))

    events = store.events.read(Selection(), limit=99)
    states = [found.status for found in store.states.of(events)]

    assert set(states) == set(STATUSES)
    for status in STATUSES:
        wanted = [event.position for event, found in zip(events, states, strict=True) if found == status]
        listed = store.states.find(EventFilter(status=status), after=0, limit=99)
        assert [(each.event.position, each.state.status) for each in listed] == [(p, status) for p in wanted]
