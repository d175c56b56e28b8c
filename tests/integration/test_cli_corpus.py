"""corpus export and check: what is written, printed and refused, and how they end."""

import gzip
import json

import pytest

from tests.cli import Cli
from tests.end_to_end.processes import wait_until
from tests.integration.http import event, flight, served

PICKY = """
from pydantic import BaseModel
from playhead import Pipeline, node

class Guest(BaseModel):
    name: str

@node
def greet(context):
    return {"Ann Lee": "Welcome"}[context.data.name]

PIPELINES = (Pipeline("guests", {"guest.came": Guest}, (greet,)),)
"""


@pytest.fixture
def ran(cli: Cli, sqlite_url: str) -> Cli:
    """Four flights that ran: one on time, two late, of which one very much, one cancelled."""
    with served(sqlite_url, cli.home, engine=True) as http:
        for number, delay in enumerate((0.0, 20.0, 200.0)):
            http.post(event(subject=f"UA{number}", data=flight(arr_delay=delay)))
        http.post(event(subject="UA9", data=flight(dep_time=None, arr_delay=None, air_time=None)))
        wait_until(lambda: http.post({"size": 0}, path="/search").json()["total"] == 5)
    return cli


def test_an_export_tells_what_it_took_of_each_shape(ran: Cli):
    people = ran("corpus", "export", "corpus.ndjson")
    machines = ran("corpus", "export", "corpus.ndjson", "--json").json

    assert [(each["type"], each["stored"], each["taken"]) for each in machines["shapes"]] == [
        ("flight.recorded", 1, 1),
        ("flight.recorded", 2, 2),
        ("flight.recorded", 1, 1),
        ("flight.very_late", 1, 1),
    ]
    assert machines["by_other_code"] == {}
    assert "completed: status, speed_kmh, very_late → emit_event" in people.out
    assert len((ran.home / "corpus.ndjson").read_text().splitlines()) == 6


def test_equal_stores_give_equal_files_also_compressed(ran: Cli):
    for name in ("a.ndjson", "b.ndjson", "a.ndjson.gz", "b.ndjson.gz"):
        assert ran("corpus", "export", name, "--per-shape", "1").code == 0

    first, again, packed, packed_again = ((ran.home / name).read_bytes() for name in (
        "a.ndjson", "b.ndjson", "a.ndjson.gz", "b.ndjson.gz",
    ))  # fmt: skip
    assert first == again == gzip.decompress(packed)
    assert packed == packed_again
    assert [file.name for file in ran.home.glob(".*.part")] == []


@pytest.mark.parametrize("options", [(), ("--plain",), ("--keep", "/data/carrier", "--anonymise", "/data/flight")])
def test_unchanged_code_passes(ran: Cli, options: tuple[str, ...]):
    assert ran("corpus", "export", "corpus.ndjson.gz", *options).code == 0

    people = ran("corpus", "check", "corpus.ndjson.gz", "--html", "page.html")
    machines = ran("corpus", "check", "corpus.ndjson.gz", "--json").json

    assert people.code == 0
    assert "corpus.ndjson.gz: 5 events compared" in people.out
    assert (machines["compared"], machines["identical"], machines["changed"]) == (5, 5, [])
    assert machines["anonymised"] is (options != ("--plain",))
    assert "The code at hand beside the corpus" in (ran.home / "page.html").read_text()


def test_what_is_kept_stays_and_numbers_go_where_that_is_asked_for(ran: Cli):
    ran("corpus", "export", "c.ndjson", "--keep", "/data/carrier", "--anonymise", "/data/distance")
    _, *lines = map(json.loads, (ran.home / "c.ndjson").read_text().splitlines())
    flights = [line["event"]["data"] for line in lines if line["event"]["type"] == "flight.recorded"]

    assert {each["carrier"] for each in flights} == {flight()["carrier"]}
    assert flight()["distance"] not in {each["distance"] for each in flights}
    assert flight()["tailnum"] not in json.dumps(lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--plain", "--keep", "/data"), "--plain replaces nothing"),
        (("--keep", "data"), "'data' is no JSON pointer"),
        (("--per-shape", "0"), "--per-shape"),
    ],
)
def test_an_export_that_contradicts_itself_is_refused(ran: Cli, arguments: tuple[str, ...], said: str):
    ended = ran("corpus", "export", "c.ndjson", *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert not (ran.home / "c.ndjson").exists()


def test_shapes_that_could_not_be_anonymised_are_counted_with_what_to_do(cli: Cli, sqlite_url: str):
    cli.module("picky_pipelines", PICKY)
    with served(sqlite_url, cli.home, engine=True, pipelines="picky_pipelines") as http:
        for name in ("Ann Lee", "Bob"):
            http.post({"type": "guest.came", "data": {"name": name}}, {"prefer": "wait=20"})

    left, kept = cli("corpus", "export", "c.ndjson"), cli("corpus", "export", "c.ndjson", "--keep", "/data/name")

    assert (left.code, kept.code) == (0, 0)
    assert (
        "left out: 1 of guest.came version 1, completed: greet, elasticsearch_index → index_document: under" in left.err
    )
    assert "1 of 2 shapes have no event in the corpus\nwhere a text decides" in left.err
    assert "left out" not in kept.err


def test_an_export_of_nothing_writes_no_file_and_ends_with_1(cli: Cli):
    ended = cli("corpus", "export", "c.ndjson")

    assert ended.code == 1
    assert "nothing is left to export" in ended.err
    assert not (cli.home / "c.ndjson").exists()


def test_a_folder_that_is_not_there_ends_with_2(ran: Cli):
    ended = ran("corpus", "export", "nowhere/c.ndjson")

    assert ended.code == 2
    assert "nowhere/c.ndjson cannot be written" in ended.err


def test_code_that_changed_ends_with_1_and_names_node_place_and_event(ran: Cli):
    ran("corpus", "export", "c.ndjson")
    ran.monkeypatch.setattr("flights.departures.LATE", 30.0)

    people, machines = (
        ran("corpus", "check", "c.ndjson", "--html", "page.html"),
        ran("corpus", "check", "c.ndjson", "--json"),
    )

    assert (people.code, machines.code) == (1, 1)
    assert "late → on_time" in people.out
    found = json.loads(machines.out)
    assert {(one["node"], one["place"], one["events"]) for one in found["classes"]} == {
        ("status", "/outputs/status", 1),
        ("status", "/effects/elasticsearch_index/*/document/status", 1),
    }
    assert found["classes"][0]["examples"][0] in (ran.home / "c.ndjson").read_text()
    assert "late → on_time" in (ran.home / "page.html").read_text()
    assert ran("corpus", "check", "c.ndjson", "--ignore", "/outputs/status", "--ignore", "/effects").code == 0


def test_a_check_needs_no_store(ran: Cli):
    ran("corpus", "export", "c.ndjson")
    bare = ran.home / "bare"
    bare.mkdir()
    (ran.home / "c.ndjson").rename(bare / "c.ndjson")
    ran.monkeypatch.chdir(bare)
    ran.set(PLAYHEAD_HOME=str(bare / "home"), DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")

    assert ran("corpus", "check", "c.ndjson").code == 0
    assert [file.name for file in bare.iterdir()] == ["c.ndjson"]


def test_an_empty_or_broken_corpus_ends_with_2_and_the_line(ran: Cli):
    ran("corpus", "export", "c.ndjson")
    header, *rest = (ran.home / "c.ndjson").read_text().splitlines()
    for text, said in (
        ("", "The corpus is empty"),
        (header, "The corpus is empty"),
        ("\n".join([header, rest[0], rest[1][:-9]]), "line 3: "),
        ("\n".join(rest), "line 1: "),
    ):
        (ran.home / "broken.ndjson").write_text(text)
        ended = ran("corpus", "check", "broken.ndjson")
        assert (ended.code, ended.out) == (2, ""), text
        assert said in ended.err
    assert ran("corpus", "check", "nowhere.ndjson").code == 3
