"""Grounds: a database and an index file that are put back, in milliseconds, to how they were kept."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, event

from infrastructure.sql.engine import Database
from infrastructure.sql.store import SqlStore
from tests.postgres_databases import Snapshots, postgres_database

MEMORY = Path("/dev/shm")
"""Files are made in memory where the system has such a folder: power cuts are not what is tried here."""


class Ground(Protocol):
    """A place for one run after the other. `sql` and `world` are two pools of connections to one database."""

    sql: SqlStore
    world: SqlStore
    index: Path
    writes: Callable[[], int]
    """How often `sql` was opened for writing so far."""

    def keep(self, name: str) -> None:
        """Remember how everything is now; nobody may be at work."""
        ...

    def restore(self, name: str) -> None:
        """Make everything as it was kept."""
        ...


class SqliteGround(Ground):
    """A SQLite file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._now = folder / "now"
        self._now.mkdir()
        url = f"sqlite:///{self._now / 'playhead.db'}"
        self.sql, self.world = SqlStore(url), SqlStore(url)
        self.index = self._now / "search.db"
        self.sql.upgrade()
        self.writes = _counting(self.sql.database)

    def keep(self, name: str) -> None:
        self.close()
        shutil.copytree(self._now, self._folder / name)

    def restore(self, name: str) -> None:
        self.close()
        shutil.rmtree(self._now)
        shutil.copytree(self._folder / name, self._now)

    def close(self) -> None:
        """Close every connection."""
        self.sql.close()
        self.world.close()


class PostgresGround(Ground):
    """A migrated database on a PostgreSQL server."""

    def __init__(self, url: str, folder: Path) -> None:
        self._folder = folder
        self.sql, self.world = _hasty(SqlStore(url)), _hasty(SqlStore(url))
        self.index = folder / "now" / "search.db"
        self.index.parent.mkdir()
        self.sql.upgrade()
        self.writes = _counting(self.sql.database)
        self._snapshots = Snapshots(self.world.engine)

    def keep(self, name: str) -> None:
        self._snapshots.keep(name)
        shutil.copytree(self.index.parent, self._folder / name)

    def restore(self, name: str) -> None:
        self._snapshots.restore(name)
        shutil.rmtree(self.index.parent)
        shutil.copytree(self._folder / name, self.index.parent)

    def close(self) -> None:
        """Close every connection."""
        self.sql.close()
        self.world.close()


def _counting(database: Database) -> Callable[[], int]:
    """Count from now on how often a database is opened for writing."""
    times = 0

    def counted(enter: Callable[[], AbstractContextManager[Connection]]) -> Any:
        def entered() -> AbstractContextManager[Connection]:
            nonlocal times
            times += 1
            return enter()

        return entered

    database.writing, database.calling = counted(database.writing), counted(database.calling)
    return lambda: times


def _hasty(store: SqlStore) -> SqlStore:
    """A store whose commits need not reach the disk: no power is cut."""

    @event.listens_for(store.engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.execute("SET synchronous_commit = off")
        connection.commit()

    return store


@contextmanager
def ground(server_url: str | None) -> Iterator[Ground]:
    """A ground on this PostgreSQL server, or on SQLite; all of it is removed at the end."""
    memory = MEMORY if MEMORY.is_dir() else None
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="playhead-ground-", dir=memory)))
        if server_url is None:
            made: SqliteGround | PostgresGround = SqliteGround(folder)
        else:
            made = PostgresGround(stack.enter_context(postgres_database(server_url)), folder)
        stack.callback(made.close)
        yield made
