"""Fts5SearchIndex: the search index in an SQLite file of its own, for one machine."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal

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
from infrastructure.embedded.search_sql import Sql
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
_TABLES = ("fields", "state", "documents", "hits", "listed", "words")
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
    """CREATE VIRTUAL TABLE words USING fts5(text, tokenize = "ascii tokenchars '_.,''’'")""",
)


class Fts5SearchIndex:
    """A SearchIndex in one SQLite file, which several threads and processes may use at once.

    `path` is the file; it and its folder are made when they are first needed. `timeout` is how many seconds to
    wait for another writer.
    """

    backend = "fts5"

    def __init__(self, path: Path, *, timeout: float = 5.0) -> None:
        self._path = path
        self._timeout = timeout
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()

    def open(self, fields: Mapping[str, FieldType]) -> None:
        """See the port."""
        with self._transaction("IMMEDIATE") as connection:
            _add_fields(connection, fields)

    def put(self, documents: Sequence[SearchDocument]) -> list[Rejection]:
        """See the port."""
        with self._transaction("IMMEDIATE") as connection:
            fields = _fields(connection)
            entries, rejections = entries_of(documents, fields)
            _keep(connection, entries, _columns(fields))
            connection.execute("UPDATE state SET updated_at = ?", (datetime.now(UTC).isoformat(),))
        return rejections

    def search(self, query: SearchQuery) -> SearchAnswer:
        """See the port."""
        with self._transaction("DEFERRED") as connection:
            fields = _fields(connection)
            columns = _columns(fields)
            request = read_request(query, fields, self.backend)
            fits = search_sql.where(request.condition, columns)
            [(total,)] = connection.execute(f"SELECT count(*) FROM documents d WHERE {fits.text}", fits.values)
            aggs = {
                name: _aggregate(connection, name, aggregation, fits, fields)
                for name, aggregation in request.aggs.items()
            }
            hits = _run(connection, search_sql.hits(request, columns)) if request.size else []
        cursor = None
        if len(hits) > request.size > 0:
            _, key, position = hits[request.size - 1]
            cursor = request.cursor(key, position)
        return SearchAnswer(
            hits=[from_json(hit) for hit, _, _ in hits[: request.size]], total=total, aggs=aggs, cursor=cursor
        )

    def start_anew(self, fields: Mapping[str, FieldType]) -> None:
        """See the port."""
        with self._transaction("IMMEDIATE") as connection:
            for table in _TABLES:
                connection.execute(f"DROP TABLE {table}")
            _make_tables(connection)
            _add_fields(connection, fields)

    def state(self) -> IndexState:
        """See the port."""
        with self._transaction("DEFERRED") as connection:
            [(documents, updated_at)] = connection.execute(
                "SELECT (SELECT count(*) FROM documents), updated_at FROM state"
            )
        at = datetime.fromisoformat(updated_at) if updated_at else None
        return IndexState(name=str(self._path), documents=documents, updated_at=at)

    def close(self) -> None:
        """Close the connections that are not in use."""
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return

    @contextmanager
    def _transaction(self, mode: Literal["DEFERRED", "IMMEDIATE"]) -> Iterator[sqlite3.Connection]:
        """A transaction on a connection that no other thread uses meanwhile."""
        try:
            connection = self._connection()
            try:
                connection.execute(f"BEGIN {mode}")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
            self._idle.put(connection)
        except sqlite3.DatabaseError as error:
            raise Unavailable(f"The search index {self._path} cannot be used: {error}.") from error

    def _connection(self) -> sqlite3.Connection:
        try:
            return self._idle.get_nowait()
        except Empty:
            pass
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            _make_tables(connection)
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection


def _make_tables(connection: sqlite3.Connection) -> None:
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'fields'").fetchone() is None:
        for statement in _SCHEMA:
            connection.execute(statement)
        _add_fields(connection, ENVELOPE)


def _add_fields(connection: sqlite3.Connection, wanted: Mapping[str, FieldType]) -> None:
    present = _fields(connection)
    for number, (name, type_) in enumerate(merged(present, wanted).items()):
        if name not in present:
            connection.execute(f"ALTER TABLE documents ADD COLUMN c{number} {_AFFINITY[type_]}")
            connection.execute("INSERT INTO fields VALUES (?, ?, ?)", (name, type_, number))


def _fields(connection: sqlite3.Connection) -> dict[str, FieldType]:
    """The fields there are, in the order of their columns."""
    return dict(connection.execute("SELECT name, type FROM fields ORDER BY number").fetchall())


def _columns(fields: Mapping[str, FieldType]) -> dict[str, str]:
    return {name: f"c{number}" for number, name in enumerate(fields)}


def _run(connection: sqlite3.Connection, sql: Sql) -> list[tuple[Any, ...]]:
    return connection.execute(sql.text, sql.values).fetchall()


def _keep(connection: sqlite3.Connection, entries: Sequence[Entry], columns: Mapping[str, str]) -> None:
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


def _aggregate(
    connection: sqlite3.Connection,
    name: str,
    aggregation: Aggregation,
    fits: Sql,
    fields: Mapping[str, FieldType],
) -> dict[str, Any]:
    columns = _columns(fields)
    if aggregation.kind == "stats":
        [row] = _run(connection, search_sql.stats(aggregation, fits, columns))
        return _stats(*row)
    rows = _run(connection, search_sql.buckets(aggregation, fits, columns))
    if aggregation.kind == "date_histogram" and len(rows) > MAX_BUCKETS:
        raise too_many_buckets(name)
    type_ = fields[aggregation.field]
    return {
        "buckets": [
            {"key": shown(key, type_), "count": count, **({"stats": _stats(*inner)} if inner else {})}
            for key, count, *inner in rows
        ]
    }


def _stats(count: float, low: float | None, high: float | None, total: float) -> dict[str, Any]:
    return {
        "count": int(count),
        "min": None if low is None else float(low),
        "max": None if high is None else float(high),
        "avg": total / count if count else None,
        "sum": total,
    }
