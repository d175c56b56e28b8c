"""Fts5SearchIndex: the search index in an SQLite file of its own, for one machine."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from pydantic_core import from_json, to_json

from application.ports.search_index import (
    ENVELOPE,
    Aggregation,
    FieldType,
    IndexState,
    Rejection,
    SearchAnswer,
    SearchDocument,
    SearchQuery,
)
from domain.errors import Unavailable
from infrastructure.embedded import search_sql
from infrastructure.search.entries import Entry, entries_of
from infrastructure.search.request import MAX_BUCKETS, read_request, too_many_buckets
from infrastructure.search.values import merged, shown

_AFFINITY: Mapping[FieldType, str] = {
    "keyword": "TEXT",
    "long": "INTEGER",
    "double": "REAL",
    "boolean": "INTEGER",
    "date": "INTEGER",
}
# Columns are numbered: SQLite would not tell the fields `id` and `ID` apart.
# The words are split before they come here; the tokenizer may only find the blanks again.
_TABLES = """
CREATE TABLE fields (name TEXT PRIMARY KEY, type TEXT NOT NULL, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (id INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL);
CREATE TABLE hits (id INTEGER PRIMARY KEY, hit TEXT NOT NULL);
CREATE TABLE listed (field TEXT NOT NULL, value, doc INTEGER NOT NULL);
CREATE INDEX listed_by_value ON listed (field, value);
CREATE INDEX listed_by_doc ON listed (doc);
CREATE VIRTUAL TABLE words USING fts5(text, tokenize = "ascii tokenchars '_.,''’'");
CREATE TABLE state (updated_at TEXT);
INSERT INTO state VALUES (NULL);
"""
_CONTENT = ("documents", "hits", "listed", "words")


class Fts5SearchIndex:
    """A SearchIndex in one SQLite file, which several threads and processes may use at once.

    Args:
        path: the file; it and its folder are made when they are first needed.
        timeout: seconds to wait for another writer.
    """

    backend = "fts5"

    def __init__(self, path: Path, *, timeout: float = 5.0) -> None:
        self._path = path
        self._timeout = timeout
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()

    def open(self, fields: Mapping[str, FieldType]) -> None:
        """See the port."""
        with self._transaction("IMMEDIATE") as connection:
            _open(connection, fields)

    def start_anew(self, fields: Mapping[str, FieldType]) -> None:
        """See the port."""
        with self._transaction("IMMEDIATE") as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE name IN ('fields', 'state') OR name IN (%s)" % "")
            for table in (*_CONTENT, "fields", "state"):
                connection.execute(f"DROP TABLE IF EXISTS {table}")
            _open(connection, fields)
