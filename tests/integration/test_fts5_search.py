"""The embedded search index: several processes on one file, and what is not its file."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from application.ports.search_index import Label
from domain.errors import Misconfigured, Unavailable
from infrastructure.embedded.search_index import Fts5SearchIndex
from tests.contracts.search_suite import FIELDS, document, found

PUT = """
import sys
from pathlib import Path
from infrastructure.embedded.search_index import Fts5SearchIndex
from tests.contracts.search_suite import FIELDS, document
index = Fts5SearchIndex(Path(sys.argv[1]))
index.open(FIELDS)
first = int(sys.argv[2])
for version in range(1, 21):
    index.put([document(position, time="2013-01-01", version=version, stops=version)
               for position in range(first, first + 50)])
index.close()
"""


def test_several_processes_fill_one_file(tmp_path):
    path = tmp_path / "folder" / "search.db"
    processes = [
        subprocess.Popen([sys.executable, "-c", PUT, str(path), str(first)], stderr=subprocess.PIPE, text=True)
        for first in (1, 26, 51)
    ]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert errors == ["", "", ""]
    with closing(Fts5SearchIndex(path)) as index:
        assert found(index, "stops:20", sort="position") == list(range(1, 101))


def test_what_is_put_stays_when_the_file_is_opened_again(tmp_path):
    with closing(Fts5SearchIndex(tmp_path / "search.db")) as index:
        index.open(FIELDS)
        index.put([document(1, carrier="UA", remark="snow")])
    with closing(Fts5SearchIndex(tmp_path / "search.db")) as index:
        assert found(index, "snow carrier:UA") == [1]


def test_a_file_that_is_no_index_is_named(tmp_path):
    (tmp_path / "search.db").write_text("This is not a database. " * 100)
    with closing(Fts5SearchIndex(tmp_path / "search.db")) as index, pytest.raises(Unavailable, match=r"search\.db"):
        index.open(FIELDS)


def test_a_place_that_cannot_hold_a_file_is_named(tmp_path):
    (tmp_path / "file").touch()
    with closing(Fts5SearchIndex(tmp_path / "file" / "search.db")) as index, pytest.raises(Misconfigured, match="file"):
        index.open(FIELDS)


def test_a_writer_that_waits_too_long_is_told(tmp_path):
    path = tmp_path / "search.db"
    with closing(Fts5SearchIndex(path)) as index, closing(Fts5SearchIndex(path, timeout=0.05)) as hasty:
        index.open(FIELDS)
        hasty.open(FIELDS)
        with index._transaction("IMMEDIATE"), pytest.raises(Unavailable, match="locked"):
            hasty.put([document(1)])
        assert hasty.put([document(1)]) == []


def test_a_new_reader_does_not_wait_for_a_writer(tmp_path):
    path = tmp_path / "search.db"
    with closing(Fts5SearchIndex(path)) as index, closing(Fts5SearchIndex(path, timeout=0.05)) as reader:
        index.open(FIELDS)
        index.put([document(1)])
        with index._transaction("IMMEDIATE"):
            assert found(reader) == [1]


def test_a_file_of_an_earlier_release_is_given_what_it_lacks(tmp_path):
    path = tmp_path / "search.db"
    with closing(Fts5SearchIndex(path)) as index:
        index.open(FIELDS)
        index.put([document(1, version=7)])
        index.label(Label(log_id="a"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE shows")
    with closing(Fts5SearchIndex(path)) as index:
        assert (index.state().label, index.state().context) == (None, 7)
        assert found(index) == [1]
