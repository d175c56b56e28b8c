"""Time travel: what the logs held at a past moment, in memory, on a clock that is moved by hand."""

from datetime import datetime, timedelta

import pytest

from application.ports.claims import Completion, Requeue
from application.ports.promotions import View
from application.ports.task_states import EventFilter
from application.subscription import Selection, Subscription, of_pipeline
from application.use_cases.time_travel import Moment, contexts_as_of, list_events_as_of, moment_of, task_as_of
from domain.context import Run, TaskContext
from domain.errors import InvalidRequest, NotFound
from domain.registry import PipelineRegistry
from infrastructure.memory.store import MemoryStore
from tests.factories import NewContextFactory, NewEventFactory
from tests.stores import StillClock

ORDERS = of_pipeline("orders", batch=1)


class Past:
    """A store whose every step is a second after the last: begun, two events (1 fails, is tried again, completes; 2
    dies), one without a route."""

    def __init__(self) -> None:
        self.clock = StillClock()
        self.store = MemoryStore(self.clock)
        self.store.claims.register([ORDERS])
        self.began = self.clock()
        self.ids = [self.append(), self.append()]  # at 1 s and 2 s
        self.end(1, "failed", back=True)  # context 1 at 3 s
        self.end(2, "dead")  # context 2 at 4 s
        self.end(1, "completed")  # context 3 at 5 s
        self.ids.append(self.append(route=None))  # event 3 at 6 s
        self.clock.later(10)

    def append(self, **changes) -> str:
        self.clock.later(1)
        event = NewEventFactory(**changes)
        self.store.events.append([event])
        event_id: str = event.id
        return event_id

    def end(self, position: int, status: str, *, back: bool = False) -> None:
        self.clock.later(1)
        claim = self.store.claims.take(ORDERS, owner="w", due_first=not back and position == 1)
        assert claim is not None
        assert claim.first == position
        [event] = [each.event for each in self.store.states.find(EventFilter(), after=position - 1, limit=1)]
        run = Run(pipeline="orders", generation=0, attempt=1, fingerprint="f", status=status)
        context = TaskContext(event=event).with_output("a", 1).ended(run).json
        requeues = [Requeue(first=1, last=1, attempt=1)] if back else []
        contexts = [NewContextFactory(event_position=position, status=status, context=context)]
        assert self.store.claims.complete(claim, Completion(contexts=contexts, requeues=requeues))

    def at(self, seconds: float) -> datetime:
        return self.began + timedelta(seconds=seconds)

    def logs(self) -> dict:
        return {"events": self.store.events, "contexts": self.store.contexts, "promotions": self.store.promotions}

    def listed(self, as_of, **wanted) -> list[tuple[int, str]]:
        moment = moment_of(as_of, "events", **self.logs())
        found = list_events_as_of(
            EventFilter(last=moment.events, **wanted),
            moment,
            limit=9,
            states=self.store.states,
            contexts=self.store.contexts,
        )
        return [(each.event.position, each.status) for each in found]


@pytest.fixture
def past() -> Past:
    return Past()


def test_a_time_is_one_moment_for_both_logs(past: Past):
    moments = [moment_of(past.at(seconds), "events", **past.logs()) for seconds in (0, 1, 1.9, 3, 4.5, 5, 6, 16)]

    assert moments == [
        Moment(0, 0), Moment(1, 0), Moment(1, 0), Moment(2, 1), Moment(2, 2), Moment(2, 3), Moment(3, 3), Moment(3, 3),
    ]  # fmt: skip
    assert moment_of(past.at(4.5), "task_contexts", **past.logs()) == Moment(2, 2)


def test_a_position_is_the_moment_at_which_its_row_was_recorded(past: Past):
    assert [moment_of(position, "events", **past.logs()) for position in range(4)] == [
        Moment(0, 0), Moment(1, 0), Moment(2, 0), Moment(3, 3),
    ]  # fmt: skip
    assert [moment_of(position, "task_contexts", **past.logs()) for position in range(4)] == [
        Moment(0, 0), Moment(2, 1), Moment(2, 2), Moment(2, 3),
    ]  # fmt: skip


def test_what_has_not_come_yet_is_refused(past: Past):
    for as_of in (4, past.at(17)):
        with pytest.raises(InvalidRequest):
            moment_of(as_of, "events", **past.logs())


def test_events_are_listed_as_they_were_with_how_far_each_was(past: Past):
    assert past.listed(past.at(0)) == []
    assert past.listed(past.at(1.5)) == [(1, "open")]
    assert past.listed(past.at(3.5)) == [(2, "open"), (1, "open")]
    assert past.listed(past.at(4.5)) == [(2, "failed"), (1, "open")]
    assert past.listed(past.at(5)) == [(2, "failed"), (1, "succeeded")]
    assert past.listed(3) == [(3, "unrouted"), (2, "failed"), (1, "succeeded")]
    assert past.listed(past.at(5), type="no.such") == []
    with pytest.raises(InvalidRequest, match="status"):
        past.listed(past.at(5), status="failed")


def test_the_contexts_of_an_event_are_those_that_there_were(past: Past):
    first = past.ids[0]

    def positions(as_of) -> list[int]:
        return [row.position for row in contexts_as_of(first, as_of, **past.logs())]

    assert [positions(past.at(seconds)) for seconds in (2, 3, 4.5, 5)] == [[], [1], [1], [3, 1]]
    assert [positions(position) for position in (1, 2, 3)] == [[1], [1], [3, 1]]


def test_a_task_is_told_by_its_last_context_then(past: Past):
    def told(number: int, as_of) -> tuple[str, str, bool]:
        task = task_as_of(past.ids[number], as_of, registry=PipelineRegistry(), **past.logs())
        return task.status, task.state, task.result == {"a": 1}

    assert told(0, past.at(2)) == ("open", "PENDING", False)
    assert told(0, past.at(3)) == ("open", "PENDING", False)
    assert told(0, past.at(5)) == ("succeeded", "SUCCESS", True)
    assert [told(1, position)[:2] for position in (1, 2)] == [("open", "PENDING"), ("failed", "FAILURE")]


def test_an_event_that_was_not_there_yet_is_not_found(past: Past):
    for as_of in (past.at(5.5), 3):
        with pytest.raises(NotFound, match="yet"):
            task_as_of(past.ids[2], as_of, registry=PipelineRegistry(), **past.logs())
    with pytest.raises(NotFound, match="yet"):
        contexts_as_of(past.ids[0], past.at(0.5), **past.logs())


def test_results_are_read_as_was_promoted_then():
    past = Past()
    replayed = Subscription(name="replay-1", log="events", selection=Selection(positions=(2,)))
    past.store.claims.register([replayed])
    claim = past.store.claims.take(replayed, owner="w")
    assert claim is not None
    context = NewContextFactory(event_position=2, generation=1)
    assert past.store.claims.complete(claim, Completion(contexts=[context]))
    made = past.clock()
    past.clock.later(1)
    past.store.promotions.append(View(id=1, promoted=(1,), action="promote", generation=1))
    promoted = past.clock()
    past.clock.later(1)
    past.store.promotions.append(View(id=2, action="rollback", generation=1))
    past.clock.later(1)

    assert dict(past.listed(made))[2] == "failed"
    assert dict(past.listed(promoted))[2] == "succeeded"
    assert dict(past.listed(past.clock()))[2] == "failed"
