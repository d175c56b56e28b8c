"""The tables of `Fts5SearchIndex`: made, widened by fields, filled."""

# ruff: noqa: S608  # the columns that are written into the SQL are numbered by this file

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from application.ports.search_index import ENVELOPE, FieldType, context_of
from infrastructure.search.entries import Entry
from infrastructure.search.values import merged

_AFFINITY: Mapping[FieldType, str] = {
    "keyword": "TEXT",
    "long": "INTEGER",
    "double": "REAL",
    "boolean": "INTEGER",
    "date": "INTEGER",
}
_SCHEMA = (
    # Columns are numbered: SQLite would not tell the fields `id` and `ID` apart.
    "CREATE TABLE fields (name TEXT PRIMARY KEY, type TEXT NOT NULL, number INTEGER NOT NULL)",
    "CREATE TABLE state (updated_at TEXT)",
    "INSERT INTO state VALUES (NULL)",
    "CREATE TABLE documents (id INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL)",
    "CREATE TABLE hits (id INTEGER PRIMARY KEY, hit TEXT NOT NULL)",
    "CREATE TABLE listed (field TEXT NOT NULL, value, doc INTEGER NOT NULL)",
    "CREATE INDEX listed_by_value ON listed (field, value)",
    "CREATE INDEX listed_by_doc ON listed (doc)",
    # The words are split before they come here: the tokenizer may only find the blanks again.
    "CREATE VIRTUAL TABLE words USING fts5(text, tokenize = \"ascii tokenchars '_.,'''\")",
)
# What is shown (a label as JSON), and how far. Files of earlier releases get it when they are opened.
_SHOWS = (
    "CREATE TABLE shows (label TEXT, context INTEGER NOT NULL)",
    "INSERT INTO shows SELECT NULL, coalesce(max(version), 0) FROM documents",
)


def has_tables(connection: sqlite3.Connection) -> bool:
    """Whether the file has our tables."""
    return _has(connection, "shows")


def make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables that a file lacks."""
    if not _has(connection, "fields"):
        for statement in _SCHEMA:
            connection.execute(statement)
        add_fields(connection, ENVELOPE)
    if not _has(connection, "shows"):
        for statement in _SHOWS:
            connection.execute(statement)


def _has(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None


def add_fields(connection: sqlite3.Connection, wanted: Mapping[str, FieldType]) -> None:
    """Add a column for each field that has none.

    Raises:
        Misconfigured: a field exists with another type.
    """
    present = fields_of(connection)
    for number, (name, type_) in enumerate(merged(present, wanted).items()):
        if name not in present:
            connection.execute(f"ALTER TABLE documents ADD COLUMN c{number} {_AFFINITY[type_]}")
            connection.execute("INSERT INTO fields VALUES (?, ?, ?)", (name, type_, number))


def fields_of(connection: sqlite3.Connection) -> dict[str, FieldType]:
    """The fields there are, in the order of their columns."""
    return dict(connection.execute("SELECT name, type FROM fields ORDER BY number").fetchall())


def columns_of(fields: Mapping[str, FieldType]) -> dict[str, str]:
    """The column of each field."""
    return {name: f"c{number}" for number, name in enumerate(fields)}


def keep(connection: sqlite3.Connection, entries: Sequence[Entry], columns: Mapping[str, str]) -> None:
    """Put entries in the place of older ones."""
    ids = to_json([entry.event_id for entry in entries]).decode()
    kept = {
        event_id: (id_, version)
        for event_id, id_, version in connection.execute(
            "SELECT event_id, id, version FROM documents WHERE event_id IN (SELECT value FROM json_each(?))",
            (ids,),
        )
    }
    [(last,)] = connection.execute("SELECT coalesce(max(id), 0) FROM documents")
    taken: list[tuple[int, Entry]] = []
    for new, entry in enumerate(entries, start=last + 1):
        id_, version = kept.get(entry.event_id, (new, entry.version))
        if entry.version >= version:
            taken.append((id_, entry))
    replaced = [(id_,) for id_, entry in taken if entry.event_id in kept]
    for table, column in (("documents", "id"), ("hits", "id"), ("listed", "doc"), ("words", "rowid")):
        connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", replaced)
    newest = max((context_of(entry.version) for _, entry in taken), default=0)
    connection.execute("UPDATE shows SET context = max(context, ?)", (newest,))
    names = ", ".join(columns.values())
    connection.executemany(
        f"INSERT INTO documents (id, event_id, version, {names}) VALUES (?, ?, ?{', ?' * len(columns)})",
        [(id_, entry.event_id, entry.version, *(_single(entry, name) for name in columns)) for id_, entry in taken],
    )
    connection.executemany(
        "INSERT INTO hits VALUES (?, ?)", [(id_, to_json(entry.hit).decode()) for id_, entry in taken]
    )
    connection.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", [(id_, entry.text) for id_, entry in taken])
    connection.executemany(
        "INSERT INTO listed VALUES (?, ?, ?)",
        [
            (columns[name], value, id_)
            for id_, entry in taken
            for name, values in entry.values.items()
            if len(values) > 1
            for value in values
        ],
    )


def _single(entry: Entry, name: str) -> Any:
    values = entry.values.get(name, ())
    return values[0] if len(values) == 1 else None
