"""Sequences of requests and of an engine's turns, drawn by hypothesis, against a model of what must be true."""

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from pydantic import BaseModel

from application.use_cases.replay_plans import PlanReplay
from domain.context import TaskContext
from domain.pipeline import Pipeline, node
from domain.registry import PipelineRegistry
from domain.retry import Retry
from playhead import TransientError
from tests.integration.http import served
from tests.replays import run_through

KEYS = strategies.sampled_from(["a", "b", "c", None])
SUBJECTS = strategies.sampled_from(["s", "t"])
NUMBERS = strategies.integers(0, 5)


class Thing(BaseModel):
    n: int


class Weather:
    """What the node below meets, whatever it is given."""

    stormy = False


@node
def judge(context: TaskContext) -> int:
    """Noughts fail for good; in a storm, fives fail for now."""
    if context.data.n == 5 and Weather.stormy:
        raise TransientError("a storm")
    return 10 // context.data.n


RETRY = Retry(attempts=3, base=0.0, cap=0.0)
REGISTRY = PipelineRegistry([Pipeline("things", {"thing.seen": Thing}, (judge,), batch=3, retry=RETRY)])


class Service(RuleBasedStateMachine):
    """The service over HTTP, and the answers that it must give."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        Weather.stormy = False
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        shutil.copy(self.template, folder / "playhead.db")
        self.http = self.stack.enter_context(served(f"sqlite:///{folder / 'playhead.db'}", folder, registry=REGISTRY))
        self.events: list[dict[str, Any]] = []
        self.keys: dict[str, tuple[str, int, str]] = {}
        self.discarded: set[str] = set()

    def teardown(self) -> None:
        self.stack.close()

    @rule(n=NUMBERS, subject=SUBJECTS, key=KEYS)
    def submit(self, n: int, subject: str, key: str | None) -> None:
        headers = {} if key is None else {"idempotency-key": key}
        answer = self.http.post({"type": "thing.seen", "subject": subject, "data": {"n": n}}, headers)
        known = self.keys.get(key or "")
        if known is None:
            assert answer.status_code == 202
            self._taken(answer.json()["event_id"], n, subject)
            if key is not None:
                self.keys[key] = (subject, n, self.events[-1]["id"])
        elif known[:2] == (subject, n):
            assert (answer.status_code, answer.json()["event_id"]) == (202, known[2])
            assert answer.headers["idempotency-replayed"] == "true"
        else:
            assert answer.status_code == 422

    @rule(n=NUMBERS, subject=SUBJECTS, behind=strategies.integers(0, 2))
    def submit_with_an_expectation(self, n: int, subject: str, behind: int) -> None:
        current = max((each["position"] for each in self.events if each["subject"] == subject), default=0)
        expected = max(0, current - behind)
        body = {"type": "thing.seen", "subject": subject, "data": {"n": n}, "expected_version": expected}
        answer = self.http.post(body)
        if expected == current:
            assert answer.status_code == 202
            self._taken(answer.json()["event_id"], n, subject)
        else:
            assert (answer.status_code, answer.json()["current_version"]) == (409, current)

    def _taken(self, event_id: str, n: int, subject: str) -> None:
        self.events.append({"id": event_id, "n": n, "subject": subject, "position": len(self.events) + 1})

    @rule(turns=strategies.integers(1, 3))
    def work(self, turns: int) -> None:
        for _ in range(turns):
            self.http.container.engine().turn("things", seconds=0)

    @rule()
    def weather_changes(self) -> None:
        Weather.stormy = not Weather.stormy

    @precondition(lambda self: self.events)
    @rule(data=strategies.data())
    def requeue(self, data: strategies.DataObject) -> None:
        self._decide("requeue", {}, data)

    @precondition(lambda self: self.events)
    @rule(data=strategies.data())
    def discard(self, data: strategies.DataObject) -> None:
        self._decide("discard", {"reason": "so be it"}, data)

    def _decide(self, what: str, more: dict[str, str], data: strategies.DataObject) -> None:
        chosen = data.draw(strategies.sampled_from(self.events))["id"]
        was_dead = self._status(chosen) == "failed"
        answer = self.http.post({"ids": [chosen], **more}, path=f"/dead-letters/{what}").json()
        assert answer == {"changed": int(was_dead), "unchanged": [] if was_dead else [chosen]}
        assert not was_dead or self._status(chosen) == {"requeue": "queued", "discard": "discarded"}[what]
        if was_dead and what == "discard":
            self.discarded.add(chosen)

    @precondition(lambda self: self.events)
    @rule()
    def replay(self) -> None:
        Weather.stormy, before = False, Weather.stormy
        container = self.http.container
        planned = container.plan_replay()(PlanReplay(everything=True), auditor=container.auditor())
        run_through(container, planned.replay.id)
        found = {status: count for _, status, count in container.contexts().summary(planned.replay.id)}
        good = sum(each["n"] != 0 for each in self.events)
        assert found == {
            name: count for name, count in (("completed", good), ("dead", len(self.events) - good)) if count
        }
        Weather.stormy = before

    @invariant()
    def the_log_is_what_was_taken(self) -> None:
        listed = self.http.get("/events?after=0&limit=1000").json()["events"]
        assert [(each["id"], each["position"], each["data"]["n"]) for each in listed] == [
            (each["id"], each["position"], each["n"]) for each in self.events
        ]

    @invariant()
    def every_event_has_at_most_one_result_and_an_honest_state(self) -> None:
        contexts = self.http.container.contexts()
        for each in self.events:
            live = [row for row in contexts.of_event(each["position"]) if row.generation == 0]
            completed = [row for row in live if row.status == "completed"]
            assert len(completed) <= 1
            status = self._status(each["id"])
            assert (status == "succeeded") == bool(completed)
            assert (status == "discarded") == (each["id"] in self.discarded)
            assert status != "failed" or each["n"] in {0, 5}
            assert len([row for row in live if row.status == "failed"]) == 0 or each["n"] == 5

    def _status(self, event_id: str) -> str:
        status: str = self.http.get(f"/tasks/{event_id}").json()["status"]
        return status


@pytest.mark.timeout(200)
def test_no_sequence_of_requests_and_turns_breaks_what_must_be_true(sqlite_template: Path) -> None:
    Service.template = sqlite_template
    run_state_machine_as_test(
        Service,
        settings=settings(
            max_examples=int(os.environ.get("FUZZ_SEQUENCES", "30")),
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
