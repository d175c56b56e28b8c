"""What an operator sees of effects and does about them, by HTTP and by the command line."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from application.ports.effect_ledger import NewEntry
from tests.cli import Cli, command_line
from tests.end_to_end.processes import wait_until
from tests.integration.http import Http, problem, served
from tests.servers import Receiver, Reply

PIPELINES = "tests.end_to_end.calling_pipelines"
UNKNOWN = "0190d1a2-0000-7000-8000-000000000001"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver.running() as found:
        yield found


@pytest.fixture
def calling(database_url: str, tmp_path: Path) -> Iterator[Http]:
    settings: dict[str, Any] = {"pipelines": PIPELINES, "outgoing_allow": "127.0.0.1"}
    with served(database_url, tmp_path, engine=True, **settings) as found:
        yield found


def ask(http: Http, url: str) -> str:
    """Send an event that calls a URL; its id."""
    event_id: str = http.post({"type": "call.asked", "data": {"n": 1, "url": url}}).json()["event_id"]
    return event_id


def effects(http: Http, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get("/effects" + query).json()["effects"]
    return found


def test_effects_are_listed_told_and_retried_over_http(calling: Http, receiver: Receiver):
    receiver.replies = lambda _: Reply(status=410, body=b"no longer")
    event_id = ask(calling, receiver.url())
    [dead] = wait_until(lambda: effects(calling, "?status=dead"), seconds=20)
    assert effects(calling) == [dead]
    assert effects(calling, "?status=done") == []
    assert (dead["event_id"], dead["kind"], dead["target"], dead["attempts"]) == (
        event_id, "http_call", receiver.url(), 1
    )  # fmt: skip
    assert dead["detail"]["status"] == 410
    life = calling.get(f"/effects/{dead['effect_id']}").json()
    assert life["state"] == dead
    assert [step["phase"] for step in life["steps"]] == ["intent", "gave_up"]
    assert life["steps"][1]["detail"]["body"] == "no longer"

    calling.container.ledger().switch(receiver.url(), enabled=True, reason="r")
    receiver.replies = lambda _: Reply()
    retried = calling.request("POST", f"/effects/{dead['effect_id'].upper()}/retry").json()
    assert (retried["changed"], retried["state"]["effect_id"]) == (True, dead["effect_id"])
    wait_until(lambda: effects(calling, "?status=done"), seconds=20)
    assert not calling.request("POST", f"/effects/{dead['effect_id']}/retry").json()["changed"]
    assert [received.id for received in receiver.requests] == [dead["effect_id"]] * 2
    assert 'playhead_effects{status="dead"} 0.0' in calling.get("/metrics").text


@pytest.mark.parametrize("effect_id", [UNKNOWN, "nope", "%00", "x" * 500])
def test_an_effect_that_is_not_there_is_404(http: Http, effect_id: str):
    for answer in (http.get(f"/effects/{effect_id}"), http.request("POST", f"/effects/{effect_id}/retry")):
        assert problem(answer)["status"] == 404


@pytest.mark.parametrize("query", ["?status=lost", "?limit=0", "?limit=1001", "?limit=many"])
def test_a_listing_that_cannot_be_understood_is_400(http: Http, query: str):
    assert problem(http.get("/effects" + query))["status"] == 400


def test_an_effect_whose_event_is_at_work_is_409(calling: Http, receiver: Receiver):
    receiver.replies = lambda _: Reply(status=410)
    ask(calling, receiver.url())
    [dead] = wait_until(lambda: effects(calling, "?status=dead"), seconds=20)
    container = calling.container
    wait_until(lambda: container.ledger().claims("effects") == [], seconds=20)
    claims, subscription = container.claims(), container.subscriptions()["effects"]
    container.engine().stop()
    calling.request("POST", f"/effects/{dead['effect_id']}/retry")
    held = claims.take(subscription, owner="somebody")
    assert held is not None

    # It is pending now, which needs no retry; so the ledger is told that it died again.
    last = container.ledger().of_effect(dead["effect_id"])[-1]
    members = {each.name: getattr(last, each.name) for each in fields(NewEntry)}
    container.ledger().write(NewEntry(**{**members, "attempt": 2, "phase": "gave_up"}))

    assert problem(calling.request("POST", f"/effects/{dead['effect_id']}/retry"))["type"] == "/problems/effect-busy"


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_url: str
) -> Iterator[Cli]:
    with command_line(capsys, monkeypatch, tmp_path) as found:
        found.set(PIPELINES=PIPELINES)
        yield found


def test_effects_are_listed_told_retried_and_enabled_by_commands(cli: Cli, sqlite_url: str, receiver: Receiver):
    receiver.replies = lambda _: Reply(status=410)
    with served(sqlite_url, cli.home, engine=True, pipelines=PIPELINES, outgoing_allow="127.0.0.1") as http:
        event_id = ask(http, receiver.url())
        wait_until(lambda: effects(http, "?status=dead"), seconds=20)
    [dead] = cli("effects", "list", "--json").json
    effect_id = dead["effect_id"]
    for command in (("effects", "list"), ("effects", "list", "--status", "dead"), ("events", "show", event_id)):
        shown = cli(*command).out
        assert effect_id in shown
        assert "dead" in shown
    assert "no effect fits" in cli("effects", "list", "--status", "done").err
    told = cli("effects", "show", effect_id)
    assert told.out.startswith(f"effect {effect_id}  http_call {receiver.url()}  dead")
    assert "gave_up" in told.out
    assert "410" in told.out
    assert cli("effects", "show", effect_id, "--json").json["state"]["status"] == "dead"
    assert [each["state"] for each in cli("events", "show", event_id, "--json").json["effects"]] == [dead]
    checks = {check["name"]: check for check in cli("doctor", "--json").json}
    assert checks["effects"]["detail"].startswith("1 dead, 0 unknown")

    assert "sent again" in cli("effects", "enable", receiver.url()).err
    assert "sent already" in cli("effects", "enable", receiver.url()).err
    assert "due now" in cli("effects", "retry", effect_id).err
    assert "pending" in cli("effects", "retry", effect_id).err
    assert cli("effects", "retry", effect_id, "--json").json["changed"] is False
    receiver.replies = lambda _: Reply()
    with served(sqlite_url, cli.home, engine=True, pipelines=PIPELINES, outgoing_allow="127.0.0.1") as http:
        wait_until(lambda: effects(http, "?status=done"), seconds=20)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("effects", "show", UNKNOWN), 3),
        (("effects", "retry", "nope"), 3),
        (("effects", "list", "--status", "lost"), 2),
        (("effects", "enable", "nowhere"), 2),
    ],
)
def test_a_command_that_names_nothing_ends_with_its_code(cli: Cli, command: tuple[str, ...], code: int):
    ended = cli(*command)

    assert (ended.code, ended.out) == (code, "")
