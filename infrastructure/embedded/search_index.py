"""Fts5SearchIndex: the search index in an SQLite file of its own, for one machine."""

# ruff: noqa: S608  # the columns that are written into the SQL are numbered by this file

import os
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from secrets import token_hex
from typing import Any, Literal

from pydantic_core import from_json, to_json

from application.ports.search_index import (
    Aggregation,
    FieldType,
    Index,
    IndexState,
    Label,
    Rejection,
    SearchAnswer,
    SearchDocument,
    SearchQuery,
    StoredDocument,
)
from domain.errors import Unavailable
from infrastructure.embedded import search_sql, search_tables
from infrastructure.embedded.search_sql import Sql
from infrastructure.folders import make_folder_of
from infrastructure.search.entries import entries_of, stored_documents
from infrastructure.search.labels import label_of, members_of
from infrastructure.search.request import MAX_BUCKETS, read_request, too_many_buckets
from infrastructure.search.values import shown


class Fts5SearchIndex:
    """A SearchIndex in SQLite files, which several threads and processes may use at once.

    `path` is the file of the first index; it and its folder are made when they are first needed. Further ones stand
    beside it, as `<stem>-<number>-<letters><suffix>`; the file `<stem>.serving` names the one that serves, where that
    is not the first. `timeout` is how many seconds to wait for another writer.
    """

    backend = "fts5"

    def __init__(self, path: Path, *, timeout: float = 5.0) -> None:
        self._path = path
        self._pointer = path.with_suffix(".serving")
        self._timeout = timeout
        self._idle: defaultdict[str, SimpleQueue[sqlite3.Connection]] = defaultdict(SimpleQueue)

    def open(self, fields: Mapping[str, FieldType], *, anew: Callable[[], None] = lambda: None) -> None:
        serving = self._serving()
        for key in {serving, *self._keys()}:
            with self._transaction("IMMEDIATE", key) as connection:
                search_tables.add_fields(connection, fields)
                if key == serving and connection.execute("SELECT 1 FROM documents LIMIT 1").fetchone() is None:
                    anew()

    def indices(self) -> Sequence[Index]:
        serving = self._serving()
        found = []
        for key in self._keys():
            with self._transaction("DEFERRED", key) as connection:
                label = _label(connection)
            found.append(Index(name=str(self._path.with_name(key)), key=key, serves=key == serving, label=label))
        return found

    def make(self, fields: Mapping[str, FieldType], label: Label) -> Index:
        number = 1 + max((int(key.rsplit("-", 2)[1]) for key in self._keys() if key != self._path.name), default=1)
        # The letters keep a name from ever being used again, for a process may still have a deleted file open.
        key = f"{self._path.stem}-{number:06}-{token_hex(4)}{self._path.suffix}"
        make_folder_of(self._path)
        self._path.with_name(key).touch()
        with self._transaction("IMMEDIATE", key) as connection:
            search_tables.add_fields(connection, fields)
        index = Index(name=str(self._path.with_name(key)), key=key, serves=False, label=label)
        self.label(label, index)
        return index

    def serve(self, index: Index) -> None:
        if not self._path.with_name(index.key).exists():
            raise Unavailable(f"There is no search index {index.name}.")
        with self._using_files():
            fresh = self._pointer.with_suffix(f".{token_hex(4)}")
            with fresh.open("w") as file:
                file.write(index.key)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._pointer)

    def drop(self, index: Index) -> None:
        if index.key == self._serving():
            return
        with self._using_files():
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(index.key + suffix).unlink(missing_ok=True)
        self._close(index.key)

    def label(self, label: Label, index: Index | None = None) -> None:
        with self._transaction("IMMEDIATE", index.key if index else None) as connection:
            connection.execute("UPDATE shows SET label = ?", (to_json(members_of(label)).decode(),))

    def put(self, documents: Sequence[SearchDocument], index: Index | None = None) -> list[Rejection]:
        with self._transaction("IMMEDIATE", index.key if index else None) as connection:
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
            label = _label(connection)
        cursor = None
        if len(hits) > request.size > 0:
            _, key, position = hits[request.size - 1]
            cursor = request.cursor(key, position)
        found = [from_json(hit) for hit, _, _ in hits[: request.size]]
        return SearchAnswer(hits=found, total=total, aggs=aggs, cursor=cursor, label=label)

    def state(self, index: Index | None = None) -> IndexState:
        key = index.key if index is not None else self._serving()
        with self._transaction("DEFERRED", key) as connection:
            [(documents, updated_at, context)] = connection.execute(
                "SELECT (SELECT count(*) FROM documents), updated_at, context FROM state, shows"
            )
            label = _label(connection)
        at = datetime.fromisoformat(updated_at) if updated_at else None
        name = str(self._path.with_name(key))
        return IndexState(name=name, documents=documents, updated_at=at, label=label, context=context)

    def expected(self, documents: Sequence[SearchDocument], index: Index) -> Sequence[StoredDocument]:
        with self._transaction("DEFERRED", index.key) as connection:
            fields = search_tables.fields_of(connection)
        return stored_documents(entries_of(documents, fields)[0])

    def documents(self, index: Index, *, after: int | None, last: int | None) -> Iterator[StoredDocument]:
        with self._transaction("DEFERRED", index.key) as connection:
            position = search_tables.columns_of(search_tables.fields_of(connection))["position"]
            rows = connection.execute(
                f"SELECT event_id, version, hit FROM documents JOIN hits USING (id) WHERE ({position} > ?1 "
                f"OR (?1 IS NULL AND ({position} IS NULL OR {position} <= coalesce(?2, {position})))) "
                f"AND (?2 IS NULL OR {position} IS NULL OR {position} <= ?2)",
                (after, last),
            ).fetchall()
        for event_id, version, hit in rows:
            yield StoredDocument(event_id=event_id, version=version, hit=from_json(hit))

    def close(self) -> None:
        """Close the connections that are not in use."""
        for key in list(self._idle):
            self._close(key)

    def _close(self, key: str) -> None:
        while True:
            try:
                self._idle[key].get_nowait().close()
            except Empty:
                return

    def _serving(self) -> str:
        """The file that serves; the first one, where the named one was deleted."""
        with self._using_files():
            key = self._pointer.read_text() if self._pointer.exists() else self._path.name
            return key if self._path.with_name(key).exists() else self._path.name

    def _keys(self) -> list[str]:
        """The files of indices, the oldest first."""
        pattern = re.compile(rf"{re.escape(self._path.stem)}-\d{{6}}-[0-9a-f]{{8}}{re.escape(self._path.suffix)}")
        with self._using_files():
            names = [each.name for each in self._path.parent.iterdir()] if self._path.parent.is_dir() else []
        first = [self._path.name] if self._path.name in names else []
        return first + sorted(name for name in names if pattern.fullmatch(name))

    @contextmanager
    def _using_files(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(f"The search index {self._path} cannot be used: {error}.") from error

    @contextmanager
    def _transaction(
        self, mode: Literal["DEFERRED", "IMMEDIATE"], key: str | None = None
    ) -> Iterator[sqlite3.Connection]:
        """A transaction on a connection that no other thread uses meanwhile; to the index that serves, or another."""
        key = key or self._serving()
        try:
            connection = self._connection(key)
            try:
                connection.execute(f"BEGIN {mode}")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
            self._idle[key].put(connection)
        except (sqlite3.DatabaseError, OSError) as error:
            raise Unavailable(f"The search index {self._path.with_name(key)} cannot be used: {error}.") from error

    def _connection(self, key: str) -> sqlite3.Connection:
        path = self._path.with_name(key)
        # A file beside the first is made by `make` alone: what was dropped must not come again.
        if path != self._path and not path.exists():
            raise Unavailable(f"There is no search index {path}.")
        try:
            return self._idle[key].get_nowait()
        except Empty:
            pass
        make_folder_of(path)
        connection = sqlite3.connect(path, timeout=self._timeout, isolation_level=None, check_same_thread=False)
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


def _label(connection: sqlite3.Connection) -> Label | None:
    [(text,)] = connection.execute("SELECT label FROM shows")
    return label_of(from_json(text)) if text else None


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
