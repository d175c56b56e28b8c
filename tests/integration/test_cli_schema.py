"""schema check: what it says of what is stored, and how it ends; and what the doctor says of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.sql.store import SqlStore
from tests.cli import Cli, command_line
from tests.factories import NewEventFactory
from tests.stores import opened

ORDERS = """
from pydantic import BaseModel
from playhead import Pipeline, Schema, node

class Order(BaseModel):
    number: int

def lift(data):
    return {"number": data["no"]}

PIPELINES = (Pipeline("orders", {"order.placed": Schema(Order, version=2, upcasters={1: lift})}),)
"""


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_url: str
) -> Iterator[Cli]:
    """A command line beside a migrated database without events, and a pipeline of orders at version 2."""
    with command_line(capsys, monkeypatch, tmp_path) as found:
        found.module("orders_pipelines", ORDERS)
        yield found


@pytest.fixture
def sql(sqlite_url: str) -> Iterator[SqlStore]:
    with opened(sqlite_url) as store:
        yield store


def append(sql: SqlStore, *data: str, **members) -> list[str]:
    events = [NewEventFactory(data=each, **members) for each in data]
    sql.events.append(events)
    return [event.id for event in events]


def test_what_can_be_read_ends_with_0(cli: Cli, sql: SqlStore):
    append(sql, '{"no": 1}', '{"no": 2}')
    append(sql, '{"number": 3}', schema_version=2)

    found = cli("schema", "check", "--json").json

    assert found["ok"]
    assert [(each["type"], each["schema_version"], each["stored"], each["failing"]) for each in found["shapes"]] == [
        ("order.placed", 1, 2, 0),
        ("order.placed", 2, 1, 0),
    ]
    assert cli("schema", "check").out.split()[:6] == ["type", "version", "pipeline", "stored", "read", "failing"]


def test_what_cannot_ends_with_1_and_type_version_count_and_the_first_event(cli: Cli, sql: SqlStore):
    [_, second, _] = append(sql, '{"no": 1}', '{"number": 2}', '{"number": 3}')
    people, machines = cli("schema", "check"), cli("schema", "check", "--all", "--json")

    assert (people.code, machines.code) == (1, 1)
    [shape] = json.loads(machines.out)["shapes"]
    assert (shape["type"], shape["schema_version"], shape["stored"], shape["checked"], shape["failing"]) == (
        "order.placed", 1, 3, 3, 2,
    )  # fmt: skip
    assert shape["first"]["event_id"] == second
    assert "from version 1 to 2, on data of version 1, raised KeyError: 'no'" in shape["first"]["message"]
    for word in ("order.placed", second, "from version 1 to 2"):
        assert word in people.out


def test_a_sample_reads_so_many(cli: Cli, sql: SqlStore):
    append(sql, *['{"no": 1}'] * 9)

    assert cli("schema", "check", "--sample", "4", "--json").json["shapes"][0]["checked"] == 4
    assert cli("schema", "check", "--sample", "4", "--all").code == 2


def test_a_type_without_a_pipeline_fails_where_that_is_asked_for(cli: Cli, sql: SqlStore):
    append(sql, "{}", "{}", type="order.lost", route=None)
    lenient, strict = cli("schema", "check"), cli("schema", "check", "--strict")

    assert (lenient.code, strict.code) == (0, 1)
    assert "no pipeline accepts 'order.lost' today; its 2 events were not read" in lenient.err


def test_an_empty_store_has_nothing_that_fails(cli: Cli):
    assert cli("schema", "check", "--strict", "--json").json == {"ok": True, "shapes": []}


def test_the_doctor_names_versions_that_this_code_does_not_know_and_types_without_a_pipeline(cli: Cli, sql: SqlStore):
    def seen() -> tuple[bool, str]:
        checks = {check["name"]: check for check in json.loads(cli("doctor", "--json").out)}
        return checks["schemas"]["ok"], checks["schemas"]["detail"]

    append(sql, "{}", type="order.lost", route=None)
    assert seen() == (True, "1 types and versions stored; no pipeline accepts order.lost (1)")

    append(sql, "{}", "{}", schema_version=3)
    assert seen() == (False, "events of schema versions that this code does not know: order.placed version 3 (2)")
