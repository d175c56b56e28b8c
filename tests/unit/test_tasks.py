"""A task's state in our words and in Celery's, with the meta that clients of Celery know."""

from typing import Any, get_args

import pytest
from pydantic import BaseModel

from application.ports.claims import Claim, Completion, Requeue
from application.ports.task_states import PastStatus, TaskStatus
from application.subscription import of_pipeline
from application.use_cases.tasks import CELERY_STATES, ENDED, Task, get_task
from domain.context import Failure, Run, TaskContext
from domain.errors import NotFound
from domain.events import NewEvent
from domain.pipeline import Pipeline
from domain.registry import PipelineRegistry
from domain.retry import Retry
from infrastructure.memory.store import MemoryStore
from tests.factories import NewContextFactory, NewEventFactory

ORDERS = of_pipeline("orders")
REGISTRY = PipelineRegistry(
    [Pipeline(name="orders", accepts={"order.placed": BaseModel}, nodes=(), retry=Retry(attempts=5))]
)


class Orders:
    """A store with one event of the pipeline `orders`, whose run is told step by step."""

    def __init__(self, **changes: Any) -> None:
        self.store = MemoryStore()
        self.store.claims.register([ORDERS])
        self.new: NewEvent = NewEventFactory(**changes)
        self.store.events.append([self.new])

    def task(self, registry: PipelineRegistry = REGISTRY) -> Task:
        store = self.store
        return get_task(
            self.new.id, events=store.events, contexts=store.contexts, states=store.states, registry=registry
        )

    def take(self) -> Claim:
        claim = self.store.claims.take(ORDERS, owner="w")
        assert claim is not None
        return claim

    def ends(self, status: Any, *, attempt: int = 1, again_in: float | None = None) -> None:
        """A run ends with a context of this status; one that is tried again goes back as a claim."""
        claim = self.take()
        event = self.store.events.get(self.new.id)
        assert event is not None
        failure = None if status == "completed" else Failure(node="judge", type="TransientError", message="away")
        run = Run(pipeline="orders", generation=0, attempt=attempt, fingerprint="f", status=status, failure=failure)
        context = TaskContext(event=event, outputs={"judge": "good"}).ended(run)
        again = () if again_in is None else (Requeue(first=1, last=1, attempt=attempt, delay=again_in),)
        new = NewContextFactory(status=status, context=context.json)
        assert self.store.claims.complete(claim, Completion(contexts=[new], requeues=again))


FAILURE = {"exc_type": "TransientError", "exc_message": "away", "retry_count": 0, "max_retries": 4}


def test_every_status_has_a_celery_state():
    assert set(CELERY_STATES) == {*get_args(TaskStatus), *get_args(PastStatus)}
    assert {CELERY_STATES[status] for status in ENDED} == {"SUCCESS", "FAILURE"}


def test_an_event_that_nobody_took_yet_is_pending():
    task = Orders().task()

    assert (task.state, task.status, task.pipeline) == ("PENDING", "queued", "orders")
    assert (task.meta, task.result, task.due_at) == (None, None, None)


def test_an_event_without_a_pipeline_is_pending_and_unrouted():
    task = Orders(route=None).task()

    assert (task.state, task.status, task.pipeline, task.meta) == ("PENDING", "unrouted", None, None)


def test_an_event_at_work_is_in_progress_with_what_its_worker_last_said():
    orders = Orders()
    claim = orders.take()
    progress = {"status": "running", "current_step": "judge", "progress": 0.5}
    orders.store.claims.heartbeat(claim, lease=30, progress=progress)
    task = orders.task()

    assert (task.state, task.status, task.meta) == ("PROGRESS", "running", progress)


def test_an_event_whose_worker_has_not_spoken_yet_is_in_progress_too():
    orders = Orders()
    orders.take()
    task = orders.task()

    assert (task.state, task.status) == ("PROGRESS", "running")
    assert task.meta == {"status": "processing", "current_step": "", "progress": 0.0}


def test_an_event_that_completed_is_a_success_with_each_nodes_output():
    orders = Orders()
    orders.ends("completed")
    task = orders.task()

    assert (task.state, task.status, task.meta, task.result) == ("SUCCESS", "succeeded", None, {"judge": "good"})


@pytest.mark.parametrize(("status", "word"), [("dead", "failed"), ("discarded", "discarded")])
def test_an_event_that_will_not_be_tried_again_is_a_failure_that_says_why(status: str, word: str):
    orders = Orders()
    orders.ends(status)
    task = orders.task()

    assert (task.state, task.status, task.meta, task.result) == ("FAILURE", word, FAILURE, None)


def test_an_event_that_is_tried_again_is_a_retry_that_says_why_and_when():
    orders = Orders()
    orders.ends("failed", again_in=60)
    task = orders.task()

    assert (task.state, task.status, task.meta) == ("RETRY", "retrying", FAILURE)
    assert task.due_at is not None


def test_the_retries_are_counted():
    orders = Orders()
    orders.ends("failed", again_in=0)
    orders.ends("failed", attempt=2, again_in=0)
    orders.ends("dead", attempt=3)

    assert orders.task().meta == {**FAILURE, "retry_count": 2}


def test_where_the_pipeline_is_not_loaded_nobody_knows_how_often_it_is_tried():
    orders = Orders()
    orders.ends("dead")

    assert orders.task(PipelineRegistry()).meta == {**FAILURE, "max_retries": None}


@pytest.mark.parametrize("task_id", ["x", "", "01900000-0000-7000-8000-00000000ffff", "0" * 36, "\0" * 36])
def test_an_unknown_id_is_not_found_and_never_pending(task_id: str):
    store = MemoryStore()
    with pytest.raises(NotFound):
        get_task(task_id, events=store.events, contexts=store.contexts, states=store.states, registry=REGISTRY)


def test_an_id_may_be_written_in_capitals():
    orders = Orders()
    store = orders.store
    task = get_task(
        orders.new.id.upper(), events=store.events, contexts=store.contexts, states=store.states, registry=REGISTRY
    )

    assert task.task_id == orders.new.id
