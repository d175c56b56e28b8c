"""keys and audit at the command line: what is printed where, what is refused, what is recorded."""

import getpass
import json
import os
import pwd
from pathlib import Path

import pytest

from domain.access import KEY
from infrastructure.settings import load
from interfaces.cli import server
from tests.cli import Cli
from tests.integration.http import event, flight, served

USER = f"cli:{pwd.getpwuid(os.getuid()).pw_name}"


def audited(cli: Cli, *options: str) -> list[tuple[str, str, str]]:
    """Actor, action and target of each entry, the first first."""
    rows = cli("audit", "list", "--json", *options).json
    return [(row["actor"], row["action"], row["target"]) for row in reversed(rows)]


def test_a_new_key_stands_alone_on_standard_output(cli: Cli):
    made = cli("keys", "create", "ci", "--scope", "events:write", "--scope", "events:read")

    assert (made.code, KEY.fullmatch(made.out.removesuffix("\n")) is not None) == (0, True)
    assert made.out.strip().split("_")[2] not in made.err
    [row] = cli("keys", "list", "--json").json
    assert (row["name"], row["scopes"], row["revoked"]) == ("ci", ["events:write", "events:read"], "")
    assert set(row) == {"id", "name", "scopes", "created", "revoked"}
    assert "events:write, events:read" in cli("keys", "list").out


def test_keys_are_revoked_by_id(cli: Cli):
    key_id = cli("keys", "create", "ci", "--scope", "admin").out.split("_")[1]

    assert "ci" in cli("keys", "revoke", key_id).err
    assert cli("keys", "list", "--json").json[0]["revoked"]
    assert cli("keys", "revoke", "nobody").code == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ci", "--scope", "root"), "The scopes are events:write, events:read, replay, admin"),
        (("Ci!", "--scope", "admin"), "cannot be called"),
        (("ci",), "--scope"),
    ],
)
def test_a_wrong_key_is_refused_and_nothing_is_printed(cli: Cli, arguments: tuple[str, ...], said: str):
    ended = cli("keys", "create", *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert cli("keys", "list").out == ""
    assert audited(cli) == []


def test_each_thing_that_an_operator_does_has_one_entry(cli: Cli, sqlite_url: str):
    with served(sqlite_url, cli.home, engine=True) as http:
        http.post(event(data=flight()), {"prefer": "wait=20"})
    for command in (
        ("keys", "create", "ci", "--scope", "admin"),
        ("replay", "plan", "--all"),
        ("replay", "run", "1"),
        ("replay", "status", "1"),
        ("index", "rebuild"),
        ("index", "status"),
        ("pipelines", "pause", "flights"),
        ("pipelines", "resume", "flights"),
        ("dead", "requeue", "--yes"),
        ("dead", "discard", "--reason", "none", "--yes"),
        ("db", "upgrade"),
    ):
        assert cli(*command).code == 0, command

    assert audited(cli) == [
        (USER, "keys.create", "ci"),
        (USER, "replay.plan", "1"),
        (USER, "replay.run", "1"),
        (USER, "index.rebuild", "fts5"),
        (USER, "pipelines.pause", "flights"),
        (USER, "pipelines.resume", "flights"),
        (USER, "dead.requeue", ""),
        (USER, "dead.discard", ""),
    ]
    assert [action for _, action, _ in audited(cli, "--action", "replay")] == ["replay.plan", "replay.run"]
    assert len(cli("audit", "list", "--limit", "2", "--json").json) == 2
    assert "pipelines.pause" in cli("audit", "list").out


def test_an_upgrade_is_recorded_where_it_changed_something(cli: Cli):
    Path(cli.home, "playhead.db").unlink()
    for _ in range(2):
        assert cli("db", "upgrade").code == 0

    [row] = cli("audit", "list", "--json").json
    assert (row["actor"], row["action"], row["detail"]) == (USER, "db.upgrade", {"before": None})


def test_nobody_acts_in_anothers_name_by_the_environment(cli: Cli):
    cli.set(LOGNAME="root2", USER="root2", USERNAME="root2")
    assert getpass.getuser() == "root2"
    cli("keys", "create", "ci", "--scope", "admin")
    assert audited(cli) == [(USER, "keys.create", "ci")]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])
def test_no_keys_on_an_address_that_others_reach_is_refused(cli: Cli, host: str):
    cli.set(API_KEYS="off")
    ended = cli("serve", "--host", host, "--port", "0")

    assert ended.code == 4
    assert f"API_KEYS=off, and HOST {host} is no loopback address" in ended.err
    assert "playhead keys create" in ended.err


@pytest.mark.parametrize(
    ("host", "keys", "needed"),
    [
        ("127.0.0.1", "auto", False),
        ("127.9.9.9", "auto", False),
        ("::1", "auto", False),
        ("localhost", "auto", False),
        ("127.0.0.1", "on", True),
        ("127.0.0.1", "off", False),
        ("0.0.0.0", "auto", True),
        ("::", "auto", True),
        ("", "auto", True),
        ("localhost.example.org", "auto", True),
    ],
)
def test_keys_are_asked_for_unless_nobody_else_reaches_the_service(cli: Cli, host: str, keys: str, *, needed: bool):
    assert load(host=host, api_keys=keys).needs_keys == needed


def test_a_service_without_any_key_says_how_to_make_one(cli: Cli, sqlite_url: str):
    with served(sqlite_url, cli.home, api_keys="on") as http:
        server._say_how_to_make_a_key(http.container)
        assert "keys create NAME --scope" in cli.capsys.readouterr().err
        cli("keys", "create", "ci", "--scope", "admin")
        server._say_how_to_make_a_key(http.container)
        assert cli.capsys.readouterr().err == ""
    with served(sqlite_url, cli.home) as http:
        server._say_how_to_make_a_key(http.container)
        assert cli.capsys.readouterr().err == ""


def test_the_audit_as_json_is_read_back(cli: Cli):
    cli("keys", "create", "ci", "--scope", "admin")
    [row] = json.loads(cli("audit", "list", "--json").out)
    assert row["position"] == 1
    assert row["detail"]["scopes"] == ["admin"]
