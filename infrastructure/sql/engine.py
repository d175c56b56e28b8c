"""Engine: connections to PostgreSQL or SQLite, with the durability and the time-outs that the promises need."""

import fcntl
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.string import TextLoader
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import expression
from sqlalchemy.sql.compiler import SQLCompiler

from domain.errors import Unavailable
from infrastructure.folders import make_folder_of
from infrastructure.sql.models import UtcTime

BUSY_SECONDS = 5.0
"""How long a SQLite writer waits for the database, a PostgreSQL statement for a lock."""
ANSWER_SECONDS = 22.0
"""How long PostgreSQL may be silent. It ends each statement after 20 s itself, while it and the line work."""
UNUSED_SECONDS = 0.5
"""After how long unused a connection to PostgreSQL is asked whether it is still there."""
_LOOK_AGAIN_SECONDS = 0.001
_READ_ONLY = "25006"
"""SQLSTATE read_only_sql_transaction."""


class DatabaseNow(expression.FunctionElement[Any]):
    """The database's clock, read when the statement runs, not when its transaction began."""

    type = UtcTime
    inherit_cache = True

    def __init__(self, plus: Any = None) -> None:
        """`plus` is a number of seconds, added to the time."""
        super().__init__(expression.bindparam(None, 0.0 if plus is None else plus, unique=True))


@compiles(DatabaseNow, "postgresql")
def _postgres_now(element: DatabaseNow, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() + make_interval(secs => CAST({seconds} AS double precision)))"


@compiles(DatabaseNow, "sqlite")
def _sqlite_now(element: DatabaseNow, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(strftime('%Y-%m-%dT%H:%M:%f', 'now', printf('%+.3f seconds', {seconds})) || '000+00:00')"


class Database:
    """One database: reading, writing, and a single autocommitted call.

    On SQLite all writers, of this process and of others, stand behind one file lock, so that none starves in
    SQLite's own waiting; on PostgreSQL a writer is a plain transaction.
    """

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self.url = make_url(url)
        self.is_postgres = self.url.get_backend_name() == "postgresql"
        self.engine = _postgres(url, pool_size) if self.is_postgres else _sqlite(url)
        self._writer = threading.RLock()
        self._lock_file: Any = None
        self._closings = 0
        event.listen(self.engine, "connect", self._number)
        event.listen(self.engine, "checkin", self._close_late)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for reading: on SQLite a transaction sees one state, on PostgreSQL each statement does."""
        if self.is_postgres:
            with self._autocommitted() as connection:
                yield connection
            return
        with translated(), self.engine.connect() as connection:
            yield connection
            connection.rollback()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection for reading on which all statements see the state that the first saw."""
        if not self.is_postgres:
            with self.reading() as connection:
                yield connection
            return
        with translated(), self.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection in a transaction that commits at the end, or undoes all when an error leaves it."""
        with translated(), self._write_lock(), self.engine.connect() as connection:
            if self.is_postgres:
                connection.execution_options(isolation_level="READ COMMITTED")
            else:
                connection.execution_options(immediate=True)
            with connection.begin():
                yield connection

    def calling(self) -> AbstractContextManager[Connection]:
        """A PostgreSQL connection for one statement that writes, and commits by itself."""
        return self._autocommitted()

    @contextmanager
    def _autocommitted(self) -> Iterator[Connection]:
        with translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def _write_lock(self) -> Iterator[None]:
        if self.is_postgres:
            yield
            return
        deadline = time.monotonic() + BUSY_SECONDS
        if not self._writer.acquire(timeout=BUSY_SECONDS):
            raise _busy()
        try:
            file = self._lock_file = self._lock_file or open_lock(self.url.database, "writer")
            while not _locked(file):
                if time.monotonic() > deadline:
                    raise _busy()
                time.sleep(_LOOK_AGAIN_SECONDS)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)
                if file is not self._lock_file:
                    file.close()
        finally:
            self._writer.release()

    def close(self) -> None:
        """Close every connection; one that another thread is using, when it is done with it."""
        self._closings += 1
        self.engine.dispose()
        file, self._lock_file = self._lock_file, None
        if file is not None and self._writer.acquire(blocking=False):
            file.close()
            self._writer.release()

    def _number(self, _: Any, record: Any) -> None:
        record.info["closings"] = self._closings

    def _close_late(self, connection: Any, record: Any) -> None:
        # Its pool is gone: nobody would ever use it again, nor close it.
        if connection is not None and record.info.get("closings") != self._closings:
            connection.close()


def _busy() -> Unavailable:
    return Unavailable(f"Another process has been writing to the database for {BUSY_SECONDS:.0f} s.")


def _locked(file: Any) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def open_lock(database: str | None, name: str) -> Any:
    """Open the lock file of this name beside a SQLite database."""
    return Path(f"{database}.{name}.lock").open("a+b")


@contextmanager
def translated() -> Iterator[None]:
    """Turn a database that cannot be reached, or is too busy, into `Unavailable`."""
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable("The database has no free connection; try again shortly.") from error
    except OperationalError as error:
        raise Unavailable(f"The database cannot be used now: {_first_line(error)}") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Unavailable(f"The connection to the database was lost: {_first_line(error)}") from error
        if getattr(error.orig, "sqlstate", None) == _READ_ONLY:
            raise Unavailable("The database is read-only now, as a standby is.") from error
        raise


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().split("\n", 1)[0]


class _Connection(psycopg.Connection[Any]):
    """A connection that waits for no answer for ever: a server that stands still keeps the line open."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, ANSWER_SECONDS if timeout is None else timeout)
        except psycopg.OperationalError:
            if timeout is None and self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.close()  # it has asked, and nobody knows when the answer would come
            raise


def _postgres(url: str, pool_size: int) -> Engine:
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=4,
        pool_timeout=BUSY_SECONDS,
        # Most of what is asked is one statement; transactions say so.
        isolation_level="AUTOCOMMIT",
        connect_args={
            "connect_timeout": 3,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            "options": f"-c lock_timeout={int(BUSY_SECONDS * 1000)} -c statement_timeout=20000 "
            "-c idle_in_transaction_session_timeout=20000 -c timezone=UTC -c jit=off "
            # Logs grow faster than the planner's statistics; a plan that first collects positions would read all that
            # waits for each claim of it.
            "-c enable_bitmapscan=off",
        },
    )

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: Any, named: Any) -> Any:
        connection = _Connection.connect(*arguments, **named)
        connection.adapters.register_loader("uuid", TextLoader)  # ids are text to us
        return connection

    @event.listens_for(engine, "checkin")
    def _leave(_connection: Any, record: Any) -> None:
        record.info["left"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _look(connection: Any, record: Any, _proxy: Any) -> None:
        # A server may have been started anew meanwhile. Asked each time, it would be as much work as most of our
        # statements.
        if time.monotonic() - record.info.get("left", 0.0) > UNUSED_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except psycopg.Error as error:
                raise InvalidatePoolError from error

    return engine


def _sqlite(url: str) -> Engine:
    path = make_url(url).database
    if path:
        make_folder_of(Path(path))
        _switch_to_wal(path)
    engine = create_engine(
        url,
        pool_size=16,
        max_overflow=48,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        # WAL with FULL: a commit has reached the disk when it returns. Recursive triggers: REPLACE deletes the old
        # row, and is refused as every delete is. More pages in a connection's own memory made no run faster, as the
        # system's cache has them too; it also bounds what a sort holds before it goes to a temporary file.
        for pragma in ("synchronous=FULL", "recursive_triggers=ON", "cache_size=-4000"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # The driver would begin lazily and upgrade a reader to a writer, which fails instead of waiting.
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _switch_to_wal(path: str) -> None:
    """Make the file one with a write-ahead log, which it then stays.

    Done behind the writers' lock: SQLite's switch fails, instead of waiting, while another process makes it.
    """
    with open_lock(path, "writer") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA journal_mode=WAL").close()
