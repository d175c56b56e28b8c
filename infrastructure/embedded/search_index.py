"""Fts5SearchIndex: the search index in an SQLite file of its own, for one machine."""

# ruff: noqa: S608  # the columns that are written into the SQL are numbered by this file

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal

from pydantic_core import from_json

from application.ports.search_index import (
    Aggregation,
    FieldType,
    IndexState,
    Rejection,
    SearchAnswer,
    SearchDocument,
    SearchQuery,
)
from domain.errors import Unavailable
from infrastructure.embedded import search_sql, search_tables
from infrastructure.embedded.search_sql import Sql
from infrastructure.folders import make_folder_of
from infrastructure.search.entries import entries_of
from infrastructure.search.request import MAX_BUCKETS, read_request, too_many_buckets
from infrastructure.search.values import shown


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

    def open(self, fields: Mapping[str, FieldType], *, anew: Callable[[], None] = lambda: None) -> None:
        with self._transaction("IMMEDIATE") as connection:
            search_tables.add_fields(connection, fields)
            if connection.execute("SELECT 1 FROM documents LIMIT 1").fetchone() is None:
                anew()

    def put(self, documents: Sequence[SearchDocument]) -> list[Rejection]:
        with self._transaction("IMMEDIATE") as connection:
            fields = search_tables.fields_of(connection)
            entries, rejections = entries_of(documents, fields)
            search_tables.keep(connection, entries, search_tables.columns_of(fields))
            connection.execute("UPDATE state SET updated_at = ?", (datetime.now(UTC).isoformat(),))
        return rejections

    def search(self, query: SearchQuery) -> SearchAnswer:
        with self._transaction("DEFERRED") as connection:
            fields = search_tables.fields_of(connection)
            columns = search_tables.columns_of(fields)
            request = read_request(query, fields, self.backend)
            fits = search_sql.where(request.condition, columns)
            [(total,)] = connection.execute(f"SELECT count(*) FROM documents d WHERE {fits.text}", fits.values)
            aggs = {
                name: _aggregate(connection, name, aggregation, fits, fields)
                for name, aggregation in request.aggs.items()
            }
            hits = _run(connection, search_sql.hits(request, columns)) if request.size else []
            [(log_id,)] = connection.execute("SELECT log_id FROM shown")
        cursor = None
        if len(hits) > request.size > 0:
            _, key, position = hits[request.size - 1]
            cursor = request.cursor(key, position)
        found = [from_json(hit) for hit, _, _ in hits[: request.size]]
        return SearchAnswer(hits=found, total=total, aggs=aggs, cursor=cursor, log_id=log_id)

    def start_anew(self, fields: Mapping[str, FieldType]) -> None:
        with self._transaction("IMMEDIATE") as connection:
            for table in search_tables.TABLES:
                connection.execute(f"DROP TABLE {table}")
            search_tables.make_tables(connection)
            search_tables.add_fields(connection, fields)

    def label(self, log_id: str) -> None:
        with self._transaction("IMMEDIATE") as connection:
            connection.execute("UPDATE shown SET log_id = ?", (log_id,))

    def state(self) -> IndexState:
        with self._transaction("DEFERRED") as connection:
            [(documents, updated_at, log_id, version)] = connection.execute(
                "SELECT (SELECT count(*) FROM documents), updated_at, log_id, version FROM state, shown"
            )
        at = datetime.fromisoformat(updated_at) if updated_at else None
        return IndexState(name=str(self._path), documents=documents, updated_at=at, log_id=log_id, version=version)

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
        except (sqlite3.DatabaseError, OSError) as error:
            raise Unavailable(f"The search index {self._path} cannot be used: {error}.") from error

    def _connection(self) -> sqlite3.Connection:
        try:
            return self._idle.get_nowait()
        except Empty:
            pass
        make_folder_of(self._path)
        connection = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False)
        try:
            self._use_write_ahead_log(connection)
            connection.execute("PRAGMA synchronous = FULL")
            # A reader must not wait for a writer, unless there is nothing to read.
            if not search_tables.has_tables(connection):
                connection.execute("BEGIN IMMEDIATE")
                search_tables.make_tables(connection)
                connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    def _use_write_ahead_log(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError:
                # SQLite does not wait here for another process that makes the file at this moment.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return


def _run(connection: sqlite3.Connection, sql: Sql) -> list[tuple[Any, ...]]:
    return connection.execute(sql.text, sql.values).fetchall()


def _aggregate(
    connection: sqlite3.Connection,
    name: str,
    aggregation: Aggregation,
    fits: Sql,
    fields: Mapping[str, FieldType],
) -> dict[str, Any]:
    columns = search_tables.columns_of(fields)
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
