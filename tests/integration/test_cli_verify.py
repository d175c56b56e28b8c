"""verify, db restored and the doctor: what they say, print as JSON, and how they end."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.anchor_file import FileAnchor
from infrastructure.sql.store import SqlStore
from tests.cli import Cli, command_line
from tests.sealed import Past


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cli]:
    with command_line(capsys, monkeypatch, tmp_path) as found:
        yield found


@pytest.fixture
def past(cli: Cli, sql_store: SqlStore, database_url: str, tmp_path: Path) -> Past:
    cli.set(DATABASE_URL=database_url, SEAL_ANCHOR=str(tmp_path / "anchor.ndjson"))
    return Past.of(sql_store, tmp_path)


def test_what_nobody_changed_ends_with_0_and_is_counted(cli: Cli, past: Past):
    verified = cli("verify", "--json").json
    people = cli("verify")

    assert verified["ok"] is True
    assert [(each["log"], each["verified"], each["unsealed"], each["anchored"]) for each in verified["logs"]] == [
        ("events", 40, 5, 40),
        ("task_contexts", 40, 5, 40),
    ]
    assert people.code == 0
    assert "events: as sealed" in people.out
    assert "40 verified, 5 not sealed yet" in people.out


def test_what_somebody_changed_ends_with_1_and_is_named(cli: Cli, past: Past):
    past.execute(["UPDATE events SET data = '{}' WHERE position IN (17, 19)", "DELETE FROM events WHERE position = 33"])
    machines, people = cli("verify", "--json"), cli("verify", "--log", "events")

    assert (machines.code, people.code) == (1, 1)
    assert "events: NOT what was sealed" in people.out
    assert "altered at position 17: the row is not what was sealed (and 1 more)" in people.out
    assert "missing at position 33: there is no row at this position" in people.out
    assert cli("verify", "--log", "contexts").code == 0
    assert cli("verify", "--log", "events", "--since", "41").code == 0


def test_an_anchor_may_be_named_and_one_that_is_not_there_ends_with_4(cli: Cli, past: Past, tmp_path: Path):
    cli.set(SEAL_ANCHOR="")
    assert "no anchor: a tail that was cut" in cli("verify").out
    assert "agrees up to position 40" in cli("verify", "--anchor", str(past.anchor.path)).out

    ended = cli("verify", "--anchor", str(tmp_path / "nowhere"))
    assert (ended.code, ended.out) == (4, "")
    assert "nowhere" in ended.err


def test_a_log_of_another_name_ends_with_2(cli: Cli, past: Past):
    assert cli("verify", "--log", "seals").code == 2


def test_a_restore_is_asked_about_said_and_shown(cli: Cli, past: Past, monkeypatch: pytest.MonkeyPatch):
    before = past.store.log_ids.of("events")
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody answers
    assert cli("db", "restored").code == 1
    assert past.store.log_ids.of("events") == before

    said = cli("db", "restored", "--yes")
    assert said.code == 0
    assert before in said.out
    assert "index rebuild" in said.err
    assert past.store.log_ids.of("events") != before
    assert "restored on " in cli("verify").out
    assert len(cli("db", "restored", "--yes", "--json").json) == 2
    assert [len(each["restores"]) for each in cli("verify", "--json").json["logs"]] == [2, 2]


def test_the_doctor_says_what_is_not_sealed_and_that_an_anchor_lacks_a_seal(cli: Cli, past: Past):
    def seals() -> tuple[bool, str]:
        checks = {check["name"]: check for check in json.loads(cli("doctor", "--json").out)}
        return checks["seals"]["ok"], checks["seals"]["detail"]

    assert seals() == (True, "not sealed yet: 5 events, 5 task_contexts; anchored")
    kept = past.anchor.path.read_bytes()
    past.anchor.path.write_bytes(b"\n".join(kept.splitlines()[:-1]) + b"\n")
    assert seals() == (False, "the anchor lacks the last seal of task_contexts")
    cli.set(SEAL_ANCHOR=str(past.anchor.path.parent / "nowhere" / "anchor"))
    assert seals() == (False, "the anchor lacks the last seal of events and task_contexts")
    assert FileAnchor(past.anchor.path).last("events") is not None
