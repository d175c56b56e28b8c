"""The command line without stores: usage, settings, pipelines, versions, exit codes."""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from domain import errors
from interfaces.cli.output import EXIT_CODES, exit_code_of
from tests.cli import Cli, command_line

FLIGHT = {
    "type": "flight.recorded",
    "subject": "UA1545",
    "time": "2013-01-01T10:00:00Z",
    "data": {
        "year": 2013, "month": 1, "day": 1, "dep_time": 517, "sched_dep_time": 515, "dep_delay": 2.0,
        "arr_time": 830, "sched_arr_time": 819, "arr_delay": 11.0, "carrier": "UA", "flight": 1545,
        "tailnum": "N14228", "origin": "EWR", "dest": "IAH", "air_time": 227.0, "distance": 1400.0,
        "hour": 5, "minute": 15,
    },
}  # fmt: skip


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cli]:
    with command_line(capsys, monkeypatch, tmp_path) as found:
        yield found


def test_the_version_is_that_of_the_distribution(cli: Cli):
    assert cli("--version").out.strip() == version("playhead")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",), ("events",), ("events", "show"), ("events", "list", "--limit", "0"), ("send",),
        ("replay", "run", "first"), ("pipelines", "run", "flights"), ("dev", "--port", "many"), ("search", "--nope"),
        ("events", "list", "--since", "yesterday"), ("demo", "--count", "0"),
    ],
)  # fmt: skip
def test_a_command_that_cannot_be_understood_ends_with_2_and_writes_no_data(cli: Cli, arguments: tuple[str, ...]):
    ended = cli(*arguments)

    assert (ended.code, ended.out) == (2, "")
    assert "Usage: playhead" in ended.err


@pytest.mark.parametrize("kind", [kind for kind in vars(errors).values() if isinstance(kind, type)])
def test_every_error_has_a_documented_exit_code(kind: type):
    if not issubclass(kind, errors.PlayheadError):
        return
    more = {
        errors.WrongExpectedVersion: {"current": 1},
        errors.CountDiffers: {"count": 1},
        errors.Overloaded: {"retry_after": 1},
        errors.Forbidden: {"scope": "replay"},
    }
    error = kind("", **more.get(kind, {}))

    assert exit_code_of(error) in set(EXIT_CODES) - {0, 130}


def test_a_wrong_setting_ends_with_4_and_its_name(cli: Cli):
    cli.set(PORT="many")
    ended = cli("config", "show")

    assert (ended.code, ended.out) == (4, "")
    assert ended.err.startswith("playhead: PORT: ")


def test_the_settings_are_shown_with_their_origin_and_without_their_passwords(cli: Cli):
    cli.set(DATABASE_URL="postgresql://u:s3cret@db/x", CELERY_BROKER_URL="redis://:hidden@broker/0")
    (cli.home / ".env").write_text("LOG_LEVEL=error\nDATABASE_URL=sqlite:////ignored\n")
    people, machines = cli("config", "show"), cli("config", "show", "--json")
    found = {row["name"]: (row["value"], row["origin"]) for row in machines.json}

    assert found["DATABASE_URL"] == ("postgresql+psycopg://u:***@db/x", "environment")
    assert found["CELERY_BROKER_URL"] == ("redis://:***@broker/0", "environment")
    assert found["LOG_LEVEL"] == ("error", ".env")
    assert found["PORT"] == (8080, "default")
    for ended in (people, machines):
        assert "s3cret" not in ended.out + ended.err
        assert "hidden" not in ended.out + ended.err
    assert ["PORT", "8080", "default"] in [line.split() for line in people.out.splitlines()]


def test_pipelines_are_listed(cli: Cli):
    rows = cli("pipelines", "list", "--json").json

    assert [row["name"] for row in rows] == ["flights", "very_late"]
    assert all(set(row) == {"name", "accepts", "nodes", "fingerprint"} for row in rows)
    assert rows[0]["accepts"] == ["flight.recorded"]
    assert "flight.recorded" in cli("pipelines", "list").out


def test_a_pipeline_is_shown(cli: Cli):
    shown = cli("pipelines", "show", "flights", "--json").json
    people = [line.split() for line in cli("pipelines", "show", "flights").out.splitlines()]

    assert set(shown) == {"name", "accepts", "nodes", "document", "retry", "fingerprint"}
    assert set(shown["accepts"]["flight.recorded"]) == {"version", "schema"}
    assert ["dep_time", "integer", "or", "null", "yes"] in people


def test_an_unknown_pipeline_ends_with_3_and_names_those_that_are_there(cli: Cli):
    ended = cli("pipelines", "show", "nope")

    assert (ended.code, ended.out) == (3, "")
    assert "'nope'; loaded are: flights, very_late" in ended.err


def test_a_module_of_pipelines_that_cannot_be_imported_ends_with_4(cli: Cli):
    cli.set(PIPELINES="no.such.module")
    ended = cli("pipelines", "list")

    assert ended.code == 4
    assert "no.such.module" in ended.err


def test_a_pipeline_runs_over_a_file_and_nothing_is_stored(cli: Cli):
    lines = [FLIGHT, {**FLIGHT, "data": {**FLIGHT["data"], "arr_delay": 150.0}}]
    (cli.home / "flights.gz").write_bytes(gzip.compress("\n\n".join(map(json.dumps, lines)).encode()))
    before = set(cli.home.iterdir())
    ended = cli("pipelines", "run", "flights", "flights.gz")
    contexts = [json.loads(line) for line in ended.out.splitlines()]

    assert ended.code == 0
    assert [context["outputs"]["status"] for context in contexts] == ["on_time", "late"]
    assert [context["event"]["position"] for context in contexts] == [1, 3]
    assert set(cli.home.iterdir()) == before
    assert cli("pipelines", "run", "flights", "flights.gz").out == ended.out


def test_lines_that_cannot_be_run_are_reported_by_number_and_the_others_run(cli: Cli):
    lines = ['{"type": "flight.recorded"', json.dumps(FLIGHT), '{"type": "other", "data": {}}']
    wrong = {**FLIGHT, "data": {**FLIGHT["data"], "distance": "far"}}
    (cli.home / "flights.ndjson").write_text("\n".join([*lines, json.dumps(wrong)]))
    ended = cli("pipelines", "run", "flights", "flights.ndjson")

    assert ended.code == 1
    assert len(ended.out.splitlines()) == 1
    assert [line.split(":")[0] for line in ended.err.splitlines()] == ["line 1", "line 3", "line 4"]


def test_a_node_that_raises_is_reported_by_name(cli: Cli):
    cli.module(
        "broken_nodes",
        "from pydantic import BaseModel\n"
        "from playhead import Pipeline, node\n"
        "class Thing(BaseModel):\n    n: int\n"
        "@node\ndef invert(context):\n    return 1 / context.data.n\n"
        "PIPELINES = (Pipeline('things', {'thing.seen': Thing}, (invert,)),)\n",
    )
    (cli.home / "things.ndjson").write_text('{"type": "thing.seen", "data": {"n": 0}}\n')
    ended = cli("pipelines", "run", "things", "things.ndjson")

    assert ended.code == 1
    assert "line 1: " in ended.err
    assert "invert" in ended.err
    assert "ZeroDivisionError" in ended.err


@pytest.mark.parametrize("command", [("pipelines", "run", "flights", "nope.ndjson"), ("send", "nope.ndjson")])
def test_a_file_that_is_not_there_ends_with_3(cli: Cli, command: tuple[str, ...]):
    ended = cli(*command)

    assert (ended.code, ended.out) == (3, "")
    assert ended.err == "playhead: There is no file nope.ndjson.\n"


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"{}\n" * 100)[:-9], b"\x1f\x8b\x08" + b"\0" * 7 + b"\xff" * 20, b"\x1f\x8b"],
    # Names, for what is compressed holds the time, and each process of a test run collects at its own.
    ids=["cut short", "damaged", "two bytes"],
)
def test_a_damaged_gz_ends_with_2(cli: Cli, content: bytes):
    (cli.home / "bad.gz").write_bytes(content)
    ended = cli("send", "bad.gz")

    assert ended.code == 2
    assert "bad.gz cannot be read" in ended.err


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "http://", "http://127.0.0.1:many", "http://127.0.0.1:99999"])
def test_a_url_that_is_none_ends_with_2(cli: Cli, url: str):
    (cli.home / "one.ndjson").write_text(json.dumps(FLIGHT))
    ended = cli("send", "one.ndjson", "--url", url)

    assert ended.code == 2
    assert "is not the URL of a service" in ended.err


def test_a_time_that_is_none_is_refused_before_anything_is_sent(cli: Cli):
    (cli.home / "one.ndjson").write_text(json.dumps(FLIGHT))
    ended = cli("send", "one.ndjson", "--not-before", "tomorrow")

    assert ended.code == 2
    assert "--not-before" in ended.err


def test_help_loads_neither_the_stores_nor_the_clients_nor_the_server():
    heavy = (
        "sqlalchemy",
        "celery",
        "redis",
        "elasticsearch",
        "fastapi",
        "uvicorn",
        "dependency_injector",
        "pydantic_settings",
    )
    code = (
        "import sys\nfrom interfaces.cli.main import main\nsys.argv = ['playhead', '--help']\n"
        f"try:\n    main()\nfinally:\n    print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stderr.strip() == "[]"
