"""The commands of operators: dead letters, pauses, adopted events, schedules."""

from tests.cli import Cli
from tests.integration.http import served
from tests.integration.things import THINGS, fail_one


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
