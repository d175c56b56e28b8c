"""/replays over HTTP: planned for the service's code, looked at, compared; on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from domain.context import TaskContext
from domain.pipeline import Pipeline, node
from domain.registry import PipelineRegistry
from tests.end_to_end.processes import wait_until
from tests.integration.http import Http, problem, served
from tests.replays import run_through


class Thing(BaseModel):
    n: int


class Factor:
    """What the node below multiplies by: a rule that its source does not show."""

    is_now = 2


@node
def times(context: TaskContext) -> int:
    return Factor.is_now * context.data.n


@node
def plus(context: TaskContext) -> int:
    return 1 + context.data.n


REGISTRY = PipelineRegistry([Pipeline("things", {"thing.seen": Thing}, (times,))])


@pytest.fixture
def http(database_url: str, tmp_path: Path) -> Iterator[Http]:
    """A service in which four things, 0 to 3, have run."""
    Factor.is_now = 2
    with served(database_url, tmp_path, engine=True, registry=REGISTRY) as found:
        ids = [item["event_id"] for item in found.batch([thing(n) for n in range(4)]).json()["items"]]
        wait_until(lambda: all(found.get(f"/tasks/{event_id}").json()["state"] == "SUCCESS" for event_id in ids))
        yield found


def thing(n: int) -> dict[str, object]:
    return {"type": "thing.seen", "data": {"n": n}}


def run(http: Http, replay_id: int) -> None:
    """What `playhead replay run` does."""
    assert run_through(http.container, replay_id) == "done"


def test_a_replay_is_planned_and_listed_and_its_status_told(http: Http) -> None:
    answer = http.post({"all": True}, path="/replays")
    planned = answer.json()
    [listed] = http.get("/replays").json()["replays"]
    before = http.get(answer.headers["location"]).json()
    run(http, planned["id"])
    after = http.get(answer.headers["location"]).json()

    assert (answer.status_code, planned["count"], planned["by_type"]) == (201, 4, {"thing.seen": 4})
    assert (planned["sampled"], planned["failing"], planned["effects"]) == (4, 0, {"index_document": 4})
    assert len(planned["first"]) == 4
    assert listed == {name: planned[name] for name in ("id", "count", "created_at", "fingerprints", "links")}
    assert (before["done"], before["contexts"]) == (False, [])
    assert (after["done"], after["identical"], after["different"]) == (True, 4, 0)
    assert after["contexts"] == [{"pipeline": "things", "status": "completed", "contexts": 4}]


def test_what_differs_is_told_by_kind(http: Http) -> None:
    Factor.is_now = 3
    here = http.post({"all": True}, path="/replays").json()["links"]["diff"]
    run(http, 1)
    found = http.get(here).json()
    tolerant = http.get(f"{here}?tolerance=0.5").json()
    ignorant = http.get(f"{here}?ignore=/outputs/times").json()

    assert (found["same"], found["noise_sought"], found["identical"], found["different"]) == (False, True, 1, 3)
    [one] = found["classes"]
    assert (one["node"], one["place"], one["events"], one["old"], one["new"]) == ("times", "/outputs/times", 3, 2, 3)
    assert (tolerant["same"], ignorant["same"], ignorant["equivalent"]) == (True, True, 3)


def test_what_todays_code_could_change_is_told_and_planned(http: Http) -> None:
    before = http.get("/replays/stale").json()
    http.container.registry.override(PipelineRegistry([Pipeline("things", {"thing.seen": Thing}, (plus,))]))
    found = http.get("/replays/stale").json()
    planned = http.post({"stale": True, "first": 2}, path="/replays").json()

    assert (before["results"], before["stale"], before["classes"]) == (4, 0, [])
    assert (found["results"], found["stale"], found["packages"]) == (4, 4, ["tests"])
    [one] = found["classes"]
    assert (one["pipeline"], one["results"]) == ("things", 4)
    assert one["causes"] == ["order of nodes", "node plus", "node times"]
    assert {"node plus: added", "node times: removed"} <= set(one["changed"])
    assert one["examples"] == [http.get("/events?after=0").json()["events"][0]["id"]]
    assert planned["count"] == 3


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({"first": 2, "last": 3}, 2),
        ({"status": "succeeded", "first": 4}, 1),
        ({"type": "thing.seen", "pipeline": "things"}, 4),
        ({"generation": 0}, 4),
    ],
)
def test_events_are_chosen_by_what_is_said(http: Http, body: dict[str, object], count: int) -> None:
    assert http.post(body, path="/replays").json()["count"] == count


@pytest.mark.parametrize(
    "body",
    [{}, {"all": True, "first": 2}, {"all": 1}, {"frist": 2}, {"first": 0}, {"status": "failed"}, {"since": "today"}],
)
def test_what_is_unclear_or_means_nothing_is_refused(http: Http, body: dict[str, object]) -> None:
    assert problem(http.post(body, path="/replays"))["status"] == 400
    assert http.get("/replays").json() == {"replays": [], "view": []}


def test_an_unknown_replay_is_not_found(http: Http) -> None:
    for path in ("/replays/7", "/replays/7/diff"):
        assert problem(http.get(path))["status"] == 404
    assert problem(http.get("/replays/x"))["status"] == 400
    assert problem(http.post({"ids": ["nope"]}, path="/replays"))["status"] == 404


def test_a_replay_is_paused_resumed_and_aborted(http: Http) -> None:
    http.post({"all": True}, path="/replays")
    paused = http.request("POST", "/replays/1/pause")
    resumed = http.request("POST", "/replays/1/resume")
    aborted = http.request("POST", "/replays/1/abort")
    again = http.request("POST", "/replays/1/abort")

    answers = [(each.status_code, each.json()["state"]) for each in (paused, resumed, aborted, again)]
    assert answers == [(200, "paused"), (200, "planned"), (200, "aborted"), (200, "aborted")]
    shown = {"state", "ended", "dead", "failures", "effects", "waiting"}
    assert set(aborted.json()) == shown | {"id", "count", "created_at", "fingerprints", "links"}
    assert set(aborted.json()) < set(http.get("/replays/1").json())
    for verb in ("pause", "resume"):
        assert problem(http.request("POST", f"/replays/1/{verb}"))["type"] == "/problems/invalid-replay"
        assert problem(http.request("POST", f"/replays/9/{verb}"))["type"] == "/problems/not-found"
    recorded = [entry.action for entry in http.container.audit().read(action="replay")]
    assert recorded == ["replay.abort", "replay.resume", "replay.pause", "replay.plan"]


def test_a_replay_tells_how_many_events_have_ended_and_how_many_of_them_dead(http: Http) -> None:
    http.post({"all": True}, path="/replays")
    Factor.is_now = None
    run(http, 1)
    found = http.get("/replays/1").json()

    assert (found["state"], found["ended"], found["dead"], found["effects"]) == ("done", 4, 4, "skip")
    [failure] = found["failures"]
    assert (failure["failure"].split(" (")[0], failure["count"]) == ("TypeError in times", 4)
