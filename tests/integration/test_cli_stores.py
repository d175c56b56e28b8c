"""The commands that look into the stores: what they show, print as JSON, refuse, and how they end."""

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Cli, command_line
from tests.end_to_end.processes import wait_until
from tests.integration.http import event, flight, served

THINGS = """
from pydantic import BaseModel
from playhead import Pipeline, node

class Thing(BaseModel):
    n: int

@node
def double(context):
    return 2 * context.data.n

@node
def invert(context):
    return 1 / context.data.n

PIPELINES = (Pipeline("things", {"thing.seen": Thing}, (double, invert)),)
"""


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_url: str
) -> Iterator[Cli]:
    """A command line beside a migrated database without events."""
    with command_line(capsys, monkeypatch, tmp_path) as found:
        yield found


@pytest.fixture
def ran(cli: Cli, sqlite_url: str) -> list[str]:
    """The ids of three flights that ran: one on time, two late; the second late one very much."""
    with served(sqlite_url, cli.home, engine=True) as http:
        posted = [http.post(event(subject=f"F{delay}", data=flight(arr_delay=delay))) for delay in (0.0, 20.0, 200.0)]
        wait_until(lambda: http.post({"size": 0}, path="/search").json()["total"] == 4)
    return [answer.json()["event_id"] for answer in posted]


def fail_one(cli: Cli, sqlite_url: str) -> str:
    """The id of an event whose pipeline raised."""
    cli.module("things_pipelines", THINGS)
    with served(sqlite_url, cli.home, engine=True, pipelines="things_pipelines") as http:
        event_id: str = http.post({"type": "thing.seen", "data": {"n": 0}}).json()["event_id"]
        wait_until(lambda: http.get(f"/tasks/{event_id}").json()["state"] == "FAILURE")
    return event_id


def test_events_are_listed_newest_first(cli: Cli, ran: list[str]):
    rows = cli("events", "list", "--json").json

    assert [row["position"] for row in rows] == [4, 3, 2, 1]
    assert [row["id"] for row in rows[1:]] == ran[::-1]
    assert all(
        {"id", "position", "type", "subject", "time", "recorded_at", "status", "data"} <= set(row) for row in rows
    )
    assert [row["type"] for row in cli("events", "list", "--type", "flight.very_late", "--json").json] == [
        "flight.very_late"
    ]
    assert cli("events", "list", "--subject", "F20.0", "--json").json[0]["id"] == ran[1]
    assert len(cli("events", "list", "--limit", "2", "--json").json) == 2
    assert cli("events", "list", "--since", "2999-01-01", "--json").json == []
    assert len(cli("events", "list", "--until", "2999-01-01T00:00:00+02:00", "--json").json) == 4


def test_events_are_listed_as_of_a_position_or_a_time(cli: Cli, ran: list[str]):
    rows = cli("events", "list", "--as-of", "2", "--json").json
    assert [row["id"] for row in rows] == ran[1::-1]
    assert len(cli("events", "list", "--as-of", rows[0]["recorded_at"], "--json").json) >= 2
    assert cli("events", "list", "--as-of", "2000-01-01", "--json").json == []
    for wrong in ("yesterday", "99", "2999-01-01"):
        assert cli("events", "list", "--as-of", wrong).code == 2


def test_ids_are_never_broken_however_narrow_the_line(cli: Cli, ran: list[str]):
    cli.monkeypatch.setattr("interfaces.cli.output.width", lambda: 70)

    assert all(event_id in cli("events", "list").out for event_id in ran)


def test_a_list_of_nothing_says_so(cli: Cli):
    ended = cli("events", "list")

    assert (ended.code, ended.out, ended.err) == (0, "", "no event fits\n")


def test_a_status_that_is_none_is_refused_with_those_that_are(cli: Cli):
    ended = cli("events", "list", "--status", "done")

    assert (ended.code, ended.out) == (2, "")
    assert "queued, running, retrying, succeeded, failed" in ended.err


def test_an_event_tells_its_biography(cli: Cli, ran: list[str]):
    people = cli("events", "show", ran[2]).out
    machines = cli("events", "show", ran[2], "--json").json

    assert f"event {ran[2]}  succeeded" in people
    assert '→ "late"' in people
    assert "causes and follow-ups:" in people
    assert cli("explain", ran[2]).out.splitlines()[0] == people.splitlines()[0]
    assert machines["event"]["id"] == ran[2]


def test_a_failed_event_names_the_node_the_exception_and_the_users_line(cli: Cli, sqlite_url: str):
    event_id = fail_one(cli, sqlite_url)
    shown = cli("events", "show", event_id).out
    line = 1 + THINGS.splitlines().index("    return 1 / context.data.n")

    assert "failed in node invert: ZeroDivisionError: division by zero" in shown
    assert f"things_pipelines.py:{line} in invert" in shown
    assert "→ 0" in shown
    assert [row["id"] for row in cli("events", "list", "--status", "failed", "--json").json] == [event_id]


def test_what_is_not_there_ends_with_3(cli: Cli):
    for command in (("events", "show", "nope"), ("replay", "run", "7"), ("replay", "status", "7")):
        ended = cli(*command)
        assert (ended.code, ended.out) == (3, ""), command
        assert ended.err.startswith("playhead: There is no ")


def test_search_finds_and_counts(cli: Cli, ran: list[str]):
    found = cli("search", "status:late", "--sort", "-arr_delay", "--agg", "terms:carrier:arr_delay", "--json").json

    assert set(found) == {"hits", "total", "aggs", "cursor", "backend", "index_lag", "view", "warning"}
    assert [hit["event_id"] for hit in found["hits"]] == [ran[2], ran[1]]
    assert found["aggs"]["terms:carrier:arr_delay"]["buckets"][0]["stats"]["avg"] == 110.0
    assert cli("search", "--filter", "status=late", "--filter", "status=on_time", "--json").json["total"] == 3
    page = cli("search", "--size", "2", "--json").json
    rest = cli("search", "--size", "2", "--cursor", page["cursor"], "--json").json
    assert len({hit["event_id"] for hit in page["hits"] + rest["hits"]}) == 4


def test_search_for_people_shows_whole_ids_and_the_field_it_is_sorted_by(cli: Cli, ran: list[str]):
    cli.monkeypatch.setattr("interfaces.cli.output.width", lambda: 60)
    ended = cli("search", "status:late", "--sort", "-arr_delay")

    assert ended.code == 0
    assert ended.out.split()[:2] == ["event_id", "arr_delay"]
    assert ran[2] in ended.out
    assert max(map(len, ended.out.splitlines())) <= 60
    assert "2 found by fts5; the index is 0 contexts behind" in ended.err
    assert "in --json: " in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("status:(",), ("nofield:1",), ("--filter", "status"), ("--agg", "terms"), ("--agg", "sum:arr_delay"),
        ("--agg", "date_histogram:time:century"), ("--cursor", "nonsense"), ("--sort", "nofield"),
    ],
)  # fmt: skip
def test_a_search_that_cannot_be_understood_ends_with_2(cli: Cli, ran: list[str], arguments: tuple[str, ...]):
    ended = cli("search", *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("playhead: ")
    assert len(ended.err.splitlines()) == 1


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


def test_the_index_is_rebuilt_with_the_same_content(cli: Cli, ran: list[str]):
    before = cli("search", "--json").json
    assert cli("index", "rebuild").code == 0
    status = cli("index", "status", "--json").json

    assert set(status) == {"backend", "name", "documents", "index_lag", "view", "outdated", "beside"}
    assert (status["documents"], status["index_lag"], status["outdated"]) == (4, 0, None)
    assert (status["view"], status["beside"]) == ([], [])
    assert cli("search", "--json").json == before


def test_an_index_is_verified_and_what_differs_is_named(cli: Cli, ran: list[str]):
    agreed = cli("index", "verify")
    path = Path(cli("index", "status", "--json").json["name"])
    with closing(sqlite3.connect(path)) as search, search:
        search.execute("DELETE FROM documents WHERE event_id = ?", (ran[1],))
    differs = cli("index", "verify")
    told = cli("index", "verify", "--json")

    assert (agreed.code, "4 documents" in agreed.err) == (0, True)
    assert (differs.code, told.code) == (1, 1)
    assert ran[1] in differs.out
    assert "index rebuild" in differs.err
    assert json.loads(told.out)["differences"] == [{"kind": "missing", "event_id": ran[1]}]
    assert cli("index", "rebuild").code == 0
    assert cli("index", "verify").code == 0


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


def test_the_doctor_finds_nothing_wrong(cli: Cli, ran: list[str]):
    checks = cli("doctor", "--json").json

    assert all(set(check) == {"name", "ok", "detail", "fix", "required"} for check in checks)
    assert [check["name"] for check in checks if not check["ok"]] == []
    assert "NOT OK" not in cli("doctor").out


def test_the_doctor_ends_with_4_and_says_what_to_do(cli: Cli, tmp_path: Path):
    cli.set(PLAYHEAD_HOME=str(tmp_path / "empty"))
    checks = {check["name"]: check for check in json.loads(cli("doctor", "--json").out)}

    assert cli("doctor").code == 4
    assert [name for name, check in checks.items() if not check["ok"]] == ["migrations"]
    assert "playhead db upgrade" in checks["migrations"]["fix"]


def test_a_command_on_an_old_schema_ends_with_4_and_names_the_upgrade_which_works(cli: Cli, tmp_path: Path):
    cli.set(PLAYHEAD_HOME=str(tmp_path / "empty"))
    for command in (("events", "list"), ("search", "x"), ("index", "status"), ("replay", "plan", "--all"), ("serve",)):
        ended = cli(*command)
        assert (ended.code, ended.out) == (4, ""), command
        assert "playhead db upgrade" in ended.err

    assert cli("db", "upgrade").code == 0
    assert cli("db", "upgrade").code == 0
    assert cli("events", "list").code == 0


def test_a_database_that_is_away_ends_with_4(cli: Cli):
    cli.set(DATABASE_URL="postgresql://nobody:s3cret@127.0.0.1:1/none")
    for command in (("events", "list"), ("db", "upgrade"), ("doctor",), ("serve", "--port", "0")):
        ended = cli(*command)
        assert ended.code == 4, command
        assert "s3cret" not in ended.out + ended.err


def test_a_folder_that_cannot_be_made_is_said_in_a_sentence(cli: Cli, tmp_path: Path):
    (tmp_path / "file").write_text("")
    cli.set(PLAYHEAD_HOME=str(tmp_path / "file" / "home"))

    for command in (("events", "list"), ("doctor",), ("dev", "--port", "0")):
        ended = cli(*command)
        assert (ended.code, ended.out) == (4, "")
        assert "Set PLAYHEAD_HOME" in ended.err


def test_dead_letters_are_listed_grouped_and_shown(cli: Cli, sqlite_url: str):
    event_id = fail_one(cli, sqlite_url)
    assert [row["event_id"] for row in cli("dead", "list", "--json").json] == [event_id]
    assert event_id in cli("dead", "list").out
    [group] = cli("dead", "groups", "--json").json
    assert (group["pipeline"], group["count"]) == ("things", 1)
    assert "ZeroDivisionError in invert" in cli("dead", "groups").out
    assert "failed in node invert" in cli("dead", "show", event_id).out


def test_a_dead_letter_that_is_requeued_is_due(cli: Cli, sqlite_url: str):
    event_id = fail_one(cli, sqlite_url)
    assert "requeued: 1" in cli("dead", "requeue", event_id).err
    assert [row["id"] for row in cli("events", "list", "--status", "queued", "--json").json] == [event_id]
    assert cli("dead", "requeue", event_id, "--json").json == {"changed": 0, "unchanged": [event_id]}


def test_dead_letters_are_discarded_by_a_filter_after_a_count(cli: Cli, sqlite_url: str):
    event_id = fail_one(cli, sqlite_url)
    refused = cli("dead", "discard", "--pipeline", "things", "--reason", "a test")
    assert refused.code == 2
    assert "1 dead letters fit" in refused.err
    done = cli("dead", "discard", "--pipeline", "things", "--reason", "a test", "--yes")
    assert "discarded: 1" in done.err
    assert [row["id"] for row in cli("events", "list", "--status", "discarded", "--json").json] == [event_id]
    assert "a test" in cli("events", "show", event_id).out


def test_what_is_no_dead_letter_is_not_shown_as_one(cli: Cli, ran: list[str]):
    assert cli("dead", "show", ran[0]).code == 3
    assert cli("dead", "list").err == "no dead letter fits\n"


def test_a_pipeline_is_paused_and_resumed(cli: Cli, ran: list[str]):
    assert "paused: flights" in cli("pipelines", "pause", "flights").err
    doctor = cli("doctor")
    assert "flights is paused" in doctor.out
    assert "resumed: flights" in cli("pipelines", "resume", "flights").err
    assert "flights is paused" not in cli("doctor").out
    assert cli("pipelines", "pause", "nosuch").code == 3


def test_a_renamed_pipelines_events_are_adopted(cli: Cli, sqlite_url: str):
    cli.module("things_pipelines", THINGS)
    with served(sqlite_url, cli.home, pipelines="things_pipelines") as http:
        http.post({"type": "thing.seen", "data": {"n": 1}})
    cli.module("renamed_pipelines", THINGS.replace('"things"', '"stuff"'))
    assert "things (1)" in cli("doctor").out
    assert "1 events of things are stuff's now" in cli("pipelines", "adopt", "things", "stuff").err
    assert "things (1)" not in cli("doctor").out
    assert cli("pipelines", "adopt", "stuff", "flights").code == 2
    assert cli("pipelines", "adopt", "things", "flights").code == 2
    assert cli("pipelines", "adopt", "things", "nosuch").code == 3


def test_schedules_are_listed_with_their_next_slot(cli: Cli, sqlite_url: str):
    assert "no loaded pipeline" in cli("schedules", "list").err
    schedule = 'Schedule(name="hourly", cron="0 * * * *", type="thing.seen", data={"n": 1})'
    text = THINGS.replace("import Pipeline, node", "import Pipeline, Schedule, node")
    cli.module("scheduled_pipelines", text.replace("invert)", f"invert), schedules=({schedule},)"))
    [found] = cli("schedules", "list", "--json").json
    assert (found["schedule"]["name"], found["pipeline"], found["last"]) == ("hourly", "things", None)
    assert found["next"].endswith(":00:00Z")
    assert "hourly" in cli("schedules", "list").out
