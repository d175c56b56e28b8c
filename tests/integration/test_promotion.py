"""Promotion beside readers and live writes: each answer is wholly of one view and names it, in store and search."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel

from application.use_cases.promoting import promote_replay, roll_back
from application.use_cases.replay_plans import PlanReplay
from application.use_cases.results import index_lag
from domain.context import TaskContext
from domain.pipeline import Pipeline, node
from domain.registry import PipelineRegistry
from infrastructure.elasticsearch.client import connect
from tests.conftest import service_url
from tests.end_to_end.processes import wait_until
from tests.integration.http import Http, problem, served
from tests.replays import run_through

THINGS = 40
AT_MOST_SECONDS = 1.0
"""Between the switch of the store and that of the index."""


class Thing(BaseModel):
    n: int


class Factor:
    """What the node below multiplies by: a rule that its source does not show."""

    is_now = 2


class Document(BaseModel):
    times: int


@node
def times(context: TaskContext) -> int:
    return Factor.is_now * context.data.n


def document(context: TaskContext) -> Document:
    return Document(times=context.outputs["times"])


REGISTRY = PipelineRegistry([Pipeline("things", {"thing.seen": Thing}, (times,), document)])


@pytest.fixture(params=["fts5", pytest.param("elasticsearch", marks=pytest.mark.elasticsearch)])
def http(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Http]:
    """A service in which things have run by the factor of 2, and a replay of all of them by that of 3."""
    settings, url = {}, ""
    if request.param == "elasticsearch":
        url = service_url("TEST_ELASTICSEARCH_URL")
        settings = {"elasticsearch_url": url, "elasticsearch_index": f"test-{uuid4().hex}"}
    Factor.is_now = 2
    with served(database_url, tmp_path, engine=True, registry=REGISTRY, **settings) as found:
        send(found, range(1, THINGS + 1))
        wait_until(lambda: found.get("/readyz").json()["checks"]["search"]["ok"])
        wait_until(lambda: search(found)["total"] == THINGS)
        Factor.is_now = 3
        container = found.container
        planned = container.plan_replay()(PlanReplay(everything=True), auditor=container.auditor())
        run_through(container, planned.replay.id)
        Factor.is_now = 2
        yield found
    if url:
        with connect(url) as client:
            client.indices.delete(index=[*client.indices.get(index=f"{settings['elasticsearch_index']}*")])


def send(http: Http, numbers: Any) -> list[str]:
    items = http.batch([{"type": "thing.seen", "data": {"n": n}} for n in numbers]).json()["items"]
    return [item["event_id"] for item in items]


def search(http: Http) -> Any:
    answer = http.post({"size": 1000, "sort": "position"}, path="/search")
    assert answer.status_code == 200, answer.text
    return answer.json()


def promote(http: Http) -> None:
    container = http.container
    promote_replay(container.replays().get(1), builder=container.index_builder(), auditor=container.auditor())


def go_back(http: Http) -> None:
    roll_back(builder=http.container.index_builder(), auditor=http.container.auditor())


@dataclass
class Reader(threading.Thread):
    """Reads again and again, and keeps what it saw: when the answer came and which generation it was of."""

    read: Callable[[], int]
    seen: list[tuple[float, float, int]] = field(default_factory=list)
    wrong: list[BaseException] = field(default_factory=list)
    over: bool = False

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        try:
            while not self.over:
                asked = time.monotonic()
                generation = self.read()
                self.seen.append((asked, time.monotonic(), generation))
        except BaseException as error:  # noqa: BLE001  # told by the test
            self.wrong.append(error)

    def wait_for_answer_after(self, time: float) -> None:
        wait_until(lambda: self.wrong or self.seen[-1][0] > time)
        assert not self.wrong, self.wrong

    def stop(self) -> None:
        self.over = True
        self.join(30)
        assert not self.wrong, self.wrong


def of_search(http: Http) -> int:
    """The generation of a whole search answer, which names it."""
    found = search(http)
    first = [hit for hit in found["hits"] if hit["position"] <= THINGS]
    assert len(first) == THINGS
    [generation] = {hit["generation"] for hit in first}
    assert found["view"] == ([generation] if generation else [])
    assert [hit["times"] for hit in first] == [(3 if generation else 2) * n for n in range(1, THINGS + 1)]
    assert found["warning"] is None
    return int(generation)


def of_task(http: Http, event_id: str) -> int:
    """The generation of a task's result, which names it."""
    task = http.get(f"/tasks/{event_id}").json()
    generation = int(task["generation"])
    assert task["result"] == {"times": (3 if generation else 2) * THINGS}
    return generation


def test_readers_see_the_old_or_the_new_and_one_second_between_store_and_index_at_most(http: Http):
    [event_id] = [hit["event_id"] for hit in search(http)["hits"] if hit["position"] == THINGS]
    task, hits = Reader(lambda: of_task(http, event_id)), Reader(lambda: of_search(http))
    writer = Reader(lambda: len(send(http, [1000])))
    for each in (task, hits, writer):
        each.start()
    try:
        changes = [(promote, 1), (go_back, 0), (promote, 1)]
        for change, generation in changes:
            before = len(task.seen), len(hits.seen)
            change(http)
            done = time.monotonic()
            for reader in (task, hits):
                reader.wait_for_answer_after(done)
            assert (task.seen[-1][2], hits.seen[-1][2]) == (generation, generation)
            switched = min(answered for _, answered, seen in task.seen[before[0] :] if seen == generation)
            late = [asked for asked, _, seen in hits.seen[before[1] :] if seen != generation]
            assert max(late, default=0.0) - switched < AT_MOST_SECONDS
    finally:
        for each in (task, hits, writer):
            each.over = True
    for each in (task, hits, writer):
        each.stop()
    # What was sent meanwhile is in the index that serves, and in the one that stands beside.
    sent = THINGS + len(writer.seen)
    wait_until(lambda: search(http)["total"] == sent)
    go_back(http)
    assert search(http)["total"] == sent


def test_a_rebuild_beside_live_writes_leaves_no_empty_answer_and_an_index_that_agrees(http: Http):
    from application.use_cases.indices import rebuild_index

    totals: list[int] = []
    reader = Reader(lambda: totals.append(search(http)["total"]) or 0)
    writer = Reader(lambda: len(send(http, [1000])))
    container = http.container
    for each in (reader, writer):
        each.start()
    try:
        for _ in range(2):
            rebuild_index(builder=container.index_builder(), auditor=container.auditor())
    finally:
        for each in (reader, writer):
            each.over = True
    for each in (reader, writer):
        each.stop()

    assert min(totals) >= THINGS
    wait_until(lambda: search(http)["total"] == THINGS + len(writer.seen))
    wait_until(lambda: index_lag(claims=container.claims()) == 0)
    [serving] = container.search_index().indices()
    assert container.index_builder().verify(serving).differences == []


def test_a_replay_is_promoted_over_http_once_its_index_was_built(http: Http):
    early = http.post("", path="/replays/1/promote")
    http.container.index_builder().build((1,))
    promoted = http.post("", path="/replays/1/promote")
    again = http.post("", path="/replays/1/promote")
    listed = http.get("/replays").json()
    back = http.post("", path="/replays/1/rollback")

    assert (early.status_code, problem(early)["type"]) == (409, "/problems/not-caught-up")
    assert "playhead replay promote 1" in early.json()["detail"]
    assert (promoted.json()["view"], promoted.json()["action"]) == ([1], "promote")
    assert (again.status_code, problem(again)["type"]) == (400, "/problems/invalid-replay")
    assert listed["view"] == [1]
    assert (back.json()["view"], back.json()["action"]) == ([], "rollback")
    assert http.post("", path="/replays/1/rollback").status_code == 400
    assert http.post("", path="/replays/7/promote").status_code == 404
