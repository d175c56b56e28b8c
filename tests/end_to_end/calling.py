"""What effects promise, tried from outside: the same in both modes."""

import base64
import json
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from standardwebhooks import Webhook

from tests.end_to_end.processes import wait_until
from tests.servers import Received, Receiver, Reply

PIPELINES = "tests.end_to_end.calling_pipelines"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
SETTINGS = {"pipelines": PIPELINES, "outgoing_allow": "127.0.0.1", "webhook_secret": SECRET, "lease_seconds": "2"}
NDJSON = {"content-type": "application/x-ndjson"}
EVENTS = 100


@dataclass(frozen=True, kw_only=True)
class Calling:
    """A running service whose workers call a receiver. `kill` ends the workers with SIGKILL, `start` starts others."""

    client: Callable[[], httpx.Client]
    command: Callable[..., subprocess.CompletedProcess[str]]
    receiver: Receiver
    kill: Callable[[], None]
    start: Callable[[], None]

    def send(self, count: int, path: str = "/hook", **data: Any) -> list[str]:
        """Send events that ask for a call each; their ids."""
        url = self.receiver.url(path)
        lines = [json.dumps({"type": "call.asked", "data": {"n": n, "url": url, **data}}) for n in range(count)]
        answer = self.client().post("/events/batch", content="\n".join(lines), headers=NDJSON)
        assert answer.status_code == 202, answer.text
        return [item["event_id"] for item in answer.json()["items"]]

    def effects(self, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client().get("/effects", params={"limit": 1000, **query}).json()["effects"]
        return found

    def statuses(self) -> Counter[str]:
        return Counter(effect["status"] for effect in self.effects())

    def heard(self) -> Counter[str]:
        """How often each path was called, but for the one that is tried again by the schedule."""
        return Counter(received.path for received in self.receiver.requests if received.path != "/moved")

    def typed(self, *arguments: str) -> Any:
        """What a command prints as JSON."""
        done = self.command(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def every_event_is_told_once_signed_and_after_its_commit(calling: Calling) -> None:
    """The receiver looks each event's task up before it answers."""
    states: list[str] = []
    lock = threading.Lock()

    def look_up(received: Received) -> Reply:
        Webhook(SECRET).verify(received.body, dict(received.headers), json_parse=False)
        event_id = json.loads(received.body)["event_id"]
        with lock:
            states.append(calling.client().get(f"/tasks/{event_id}").json()["status"])
        return Reply()

    calling.receiver.replies = look_up
    events = calling.send(EVENTS)
    wait_until(lambda: calling.statuses() == {"done": EVENTS}, seconds=60)

    received = calling.receiver.requests
    assert {json.loads(each.body)["event_id"] for each in received} == set(events)
    assert len(received) == EVENTS
    assert states == ["succeeded"] * EVENTS
    known = {effect["event_id"]: effect["effect_id"] for effect in calling.effects()}
    assert {json.loads(each.body)["event_id"]: each.id for each in received} == known


def a_kill_before_the_outcome_leaves_unknown_and_the_repeat_has_the_same_id(calling: Calling) -> None:
    """The receiver kills the worker that waits for its answer."""

    def kill_once(_: Received) -> Reply:
        if len(calling.receiver.requests) == 1:
            calling.kill()
        return Reply()

    calling.receiver.replies = kill_once
    [event] = calling.send(1)
    [unknown] = wait_until(lambda: calling.typed("effects", "list", "--status", "unknown"), seconds=30)
    assert (unknown["event_id"], unknown["attempts"]) == (event, 1)
    assert len(calling.receiver.requests) == 1
    calling.start()
    wait_until(lambda: calling.statuses() == {"done": 1}, seconds=30)

    assert [received.id for received in calling.receiver.requests] == [unknown["effect_id"]] * 2
    life = calling.typed("effects", "show", unknown["effect_id"])
    assert [(step["attempt"], step["phase"]) for step in life["steps"]] == [(1, "intent"), (2, "intent"), (2, "done")]
    told = calling.typed("events", "show", event)["effects"]
    assert [(life["state"]["effect_id"], life["state"]["status"]) for life in told] == [(unknown["effect_id"], "done")]


def gone_disables_a_redirect_is_not_followed_an_answer_comes_back_and_a_replay_sends_nothing(calling: Calling) -> None:
    replies = {
        "/gone": Reply(status=410),
        "/moved": Reply(status=301, headers={"location": calling.receiver.url("/there")}),
        "/answered": Reply(status=201, body=b"thanks"),
    }
    calling.receiver.replies = lambda received: replies[received.path]
    calling.send(3, "/gone")
    calling.send(1, "/moved")
    [event] = calling.send(1, "/answered", answered=True)
    wait_until(lambda: calling.statuses() == {"dead": 3, "failed": 1, "done": 1}, seconds=30)

    assert calling.heard() == {"/gone": 1, "/answered": 1}
    [failed] = calling.effects(status="failed")
    assert "not followed" in failed["detail"]["error"]
    assert failed["due_at"]
    [done] = calling.effects(status="done")
    answer = done["detail"]["answer_event"]
    wait_until(lambda: calling.client().get(f"/tasks/{answer}").json()["status"] == "succeeded", seconds=30)
    told = calling.client().get(f"/events/{answer}").json()
    assert (told["cause"], told["data"]["status"], told["data"]["body"]) == (event, 201, "thanks")

    plan = calling.typed("replay", "plan", "--all")
    assert calling.typed("replay", "run", str(plan["id"]))["identical"] == 6
    url = calling.receiver.url("/gone")
    replies["/gone"] = Reply()
    assert calling.command("effects", "enable", url).returncode == 0
    for effect in calling.effects(status="dead"):
        assert calling.client().post(f"/effects/{effect['effect_id']}/retry").json()["changed"]
    wait_until(lambda: calling.statuses() == {"failed": 1, "done": 4}, seconds=30)
    assert calling.heard() == {"/gone": 4, "/answered": 1}
