"""The replay commands: what they plan, run, compare and promote, and what they refuse."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Cli
from tests.end_to_end.processes import wait_until
from tests.integration.http import served
from tests.integration.things import THINGS, fail_one


@pytest.mark.parametrize(
    "arguments",
    [(), ("--position", ".."), ("--position", "5"), ("--type", "nothing.of.this"), ("--all", "--id", "x")],
)
def test_a_plan_of_nothing_or_of_what_is_unclear_ends_with_2(cli: Cli, ran: list[str], arguments: tuple[str, ...]):
    ended = cli("replay", "plan", *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("playhead: ")


def test_a_replay_is_planned_run_and_told_of(cli: Cli, ran: list[str]):
    planned = cli("replay", "plan", "--type", "flight.recorded", "--json").json
    before = cli("replay", "status", str(planned["id"]), "--json").json
    done = cli("replay", "run", str(planned["id"]), "--json").json
    again = cli("replay", "run", str(planned["id"]), "--json").json

    named = {"id", "count", "by_type", "without_pipeline", "fingerprints"}
    assert set(planned) == named | {"first", "sampled", "effects", "failing", "seconds"}
    assert (planned["first"], planned["sampled"], planned["failing"]) == (ran, 3, 0)
    assert planned["effects"] == {"index_document": 3, "emit_event": 1}
    assert (planned["count"], planned["by_type"]) == (3, {"flight.recorded": 3})
    counts = {"count", "ended", "dead", "waiting", "identical", "different", "without_live"}
    assert set(before) == counts | {"id", "done", "state", "failures", "effects", "contexts"}
    assert set(done) == {*before, "end", "step"}
    assert (before["done"], before["state"], before["contexts"]) == (False, "planned", [])
    assert (done["done"], done["state"], done["identical"], done["different"]) == (True, "done", 3, 0)
    assert again == done
    assert cli("events", "list", "--json").json[0]["position"] == 4
    assert cli("events", "show", ran[0]).out.count("attempt 1") == 2


def test_a_replay_of_the_same_code_differs_in_nothing(cli: Cli, ran: list[str]):
    cli("replay", "plan", "--all")
    cli("replay", "run", "1")
    ended = cli("replay", "diff", "1", "--json")

    assert ended.code == 0
    assert (ended.json["compared"], ended.json["identical"], ended.json["classes"]) == (4, 4, [])
    assert cli("replay", "diff", "1").code == 0
    assert cli("replay", "diff", "2").code == 3


def test_a_replay_of_other_code_differs_by_kind_and_ends_with_1(cli: Cli, sqlite_url: str):
    cli.module("things_pipelines", THINGS)
    with served(sqlite_url, cli.home, engine=True, pipelines="things_pipelines") as http:
        event_id = http.post({"type": "thing.seen", "data": {"n": 2}}).json()["event_id"]
        wait_until(lambda: http.get(f"/tasks/{event_id}").json()["state"] == "SUCCESS")
    cli.module("other_things", THINGS.replace("2 *", "3 *"))
    cli("replay", "plan", "--all")
    cli("replay", "run", "1")
    ended = cli("replay", "diff", "1", "--json")
    told = cli("replay", "diff", "1")
    tolerant = cli("replay", "diff", "1", "--tolerance", "0.5", "--json")
    ignorant = cli("replay", "diff", "1", "--ignore", "/outputs/double", "--json")

    assert (ended.code, told.code, tolerant.code, ignorant.code) == (1, 1, 0, 0)
    [one] = json.loads(ended.out)["classes"]
    assert (one["node"], one["place"], one["words"]) == ("double", "/outputs/double", "another number")
    assert one["examples"] == [event_id]
    assert all(word in told.out for word in ("another number", "/outputs/double", event_id))
    assert (tolerant.json["equivalent"], tolerant.json["noise_sought"]) == (1, True)


def test_other_code_is_compared_in_one_go_and_nothing_is_appended(cli: Cli, sqlite_url: str, tmp_path: Path):
    cli.module("things_pipelines", THINGS)
    with served(sqlite_url, cli.home, engine=True, pipelines="things_pipelines") as http:
        sent = [http.post({"type": "thing.seen", "data": {"n": n}}).json()["event_id"] for n in (1, 2, 0)]
        wait_until(lambda: all(http.get(f"/tasks/{each}").json()["state"] in {"SUCCESS", "FAILURE"} for each in sent))
    same, other = tmp_path / "same", tmp_path / "other" / "src"
    for folder, code in ((same, THINGS), (other, THINGS.replace("2 *", "4 *"))):
        folder.mkdir(parents=True)
        (folder / "things_code.py").write_text(code)
    contexts = cli("events", "show", sent[0], "--json").json["attempts"]

    def against(folder: Path, *options: str) -> Any:
        sys.modules.pop("things_code", None)
        cli.set(PIPELINES="things_code")
        path = [*sys.path]
        try:
            return cli("replay", "diff", "--against", str(folder), *options)
        finally:
            sys.path[:] = path

    unchanged, changed = against(same, "--json"), against(tmp_path / "other", "--json")
    page = tmp_path / "page.html"
    told = against(tmp_path / "other", "--type", "thing.seen", "--html", str(page))
    elsewhere = against(tmp_path)

    assert (unchanged.code, unchanged.json["compared"], unchanged.json["identical"]) == (0, 3, 3)
    found = json.loads(changed.out)
    assert (changed.code, found["different"], found["identical"]) == (1, 2, 1)
    assert [(each["node"], each["place"], each["events"]) for each in found["classes"]] == [
        ("double", "/outputs/double", 2)
    ]
    assert (told.code, "double" in told.out, "beside the results" in page.read_text()) == (1, True, True)
    assert (elsewhere.code, "cannot be imported" in elsewhere.err) == (4, True)
    assert against(tmp_path / "nowhere").code == 2
    (tmp_path / "empty").mkdir()
    cli.module("things_code", THINGS)
    installed = against(tmp_path / "empty")
    assert (installed.code, "no pipeline was loaded from there" in installed.err) == (2, True)
    assert cli("replay", "diff").code == 2
    assert cli("replay", "diff", "1", "--type", "thing.seen").code == 2
    cli.set(PIPELINES="things_pipelines")
    assert cli("events", "show", sent[0], "--json").json["attempts"] == contexts


def test_a_replay_by_id_or_position_takes_no_other_event(cli: Cli, ran: list[str]):
    by_id = cli("replay", "plan", "--id", ran[0], "--id", ran[2], "--json").json
    by_position = cli("replay", "plan", "--position", "2..3", "--json").json

    assert (by_id["count"], by_position["count"]) == (2, 2)
    assert cli("replay", "plan", "--id", "nope").code == 3


def test_a_replay_is_planned_by_what_events_are_now(cli: Cli, ran: list[str]):
    by_query = cli("replay", "plan", "--query", "arr_delay:>100", "--json").json
    by_status = cli("replay", "plan", "--status", "succeeded", "--type", "flight.recorded", "--json").json
    cli("replay", "run", "1")
    by_generation = cli("replay", "plan", "--generation", "1", "--json").json

    assert (by_query["count"], by_status["count"]) == (2, 3)
    assert by_generation["first"] == by_query["first"]
    assert cli("replay", "plan", "--dead").code == 2
    assert cli("replay", "plan", "--dead", "--status", "queued").code == 2
    assert cli("replay", "plan", "--status", "nonsense").code == 2
    assert cli("replay", "plan", "--query", "a:(").code == 2


def test_a_replay_of_other_code_than_was_planned_ends_with_2(cli: Cli, sqlite_url: str):
    event_id = fail_one(cli, sqlite_url)
    replay = cli("replay", "plan", "--id", event_id, "--json").json["id"]
    cli.module("other_things", THINGS.replace("2 *", "3 *"))
    ended = cli("replay", "run", str(replay))

    assert (ended.code, ended.out) == (2, "")
    assert "other code of things" in ended.err


def test_a_replay_is_promoted_and_rolled_back(cli: Cli, sqlite_url: str):
    event_id = fail_one(cli, sqlite_url)
    cli.module("mended_things", THINGS.replace("1 / context.data.n", "0"))
    replay = str(cli("replay", "plan", "--id", event_id, "--json").json["id"])
    early = cli("replay", "promote", replay)
    cli("replay", "run", replay)
    promoted = cli("replay", "promote", replay)
    held = cli("events", "show", event_id, "--json").json["task"]
    found = cli("search", "--json").json
    listed = cli("replay", "list", "--json").json
    twice = cli("replay", "promote", replay)
    back = cli("replay", "rollback", "--json")
    nothing = cli("replay", "rollback")

    assert (early.code, "not done" in early.err) == (2, True)
    assert (promoted.code, "replay 1 over the live runs" in promoted.err) == (0, True)
    assert (held["status"], held["generation"]) == ("succeeded", 1)
    assert (found["view"], [hit["generation"] for hit in found["hits"]]) == ([1], [1])
    assert listed["view"] == [1]
    assert (twice.code, "already" in twice.err) == (2, True)
    assert (back.code, back.json["view"], back.json["action"]) == (0, [], "rollback")
    assert (nothing.code, "nothing to go back from" in nothing.err) == (2, True)
    assert cli("events", "show", event_id, "--json").json["task"]["status"] != "succeeded"
    assert [entry["action"] for entry in cli("audit", "list", "--json", "--limit", "2").json] == [
        "replay.rollback",
        "replay.promote",
    ]
