"""The commands that look into the stores: what they show, print as JSON, refuse, and how they end."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli import Cli
from tests.integration.things import THINGS, fail_one


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
