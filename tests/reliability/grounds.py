"""Grounds: a database and an index file that are put back, in milliseconds, to how they were kept."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from sqlalchemy import create_engine, event, make_url, text

from infrastructure.sql.store import SqlStore

MEMORY = Path("/dev/shm")
"""Files are made in memory where the system has such a folder: power cuts are not what is tried here."""


class Ground(Protocol):
    """A place for one run after the other. `sql` and `world` are two pools of connections to one database."""

    sql: SqlStore
    world: SqlStore
    index: Path

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
    """A database on a PostgreSQL server. What is kept are copies of its tables in schemas of their own.

    A copy of the whole database takes ten times as long to make. To put the tables back, the triggers that keep them
    append-only are switched off meanwhile, as only their owner may.
    """

    def __init__(self, server_url: str, folder: Path) -> None:
        self._folder = folder
        self._database = f"ground_{uuid4().hex}"
        self._admin = create_engine(server_url, isolation_level="AUTOCOMMIT")
        self._administer(f'CREATE DATABASE "{self._database}"')
        url = make_url(server_url).set(database=self._database).render_as_string(hide_password=False)
        self.sql, self.world = _hasty(SqlStore(url)), _hasty(SqlStore(url))
        self.index = folder / "now" / "search.db"
        self.index.parent.mkdir()
        self.sql.upgrade()
        with self.world.engine.begin() as connection:
            self._tables = [name for (name,) in connection.execute(text(_TABLES))]
            self._sequences = [name for (name,) in connection.execute(text(_SEQUENCES))]
            self._triggers = connection.execute(text(_TRIGGERS)).all()

    def keep(self, name: str) -> None:
        statements = [f'CREATE SCHEMA "{name}"']
        statements += [f'CREATE TABLE "{name}"."{table}" AS TABLE public."{table}"' for table in self._tables]
        statements += [
            f'CREATE TABLE "{name}"."{sequence}" AS SELECT last_value, is_called FROM public."{sequence}"'
            for sequence in self._sequences
        ]
        self._do(statements)
        shutil.copytree(self.index.parent, self._folder / name)

    def restore(self, name: str) -> None:
        off = [f'ALTER TABLE public."{table}" DISABLE TRIGGER "{trigger}"' for table, trigger in self._triggers]
        on = [f'ALTER TABLE public."{table}" ENABLE ALWAYS TRIGGER "{trigger}"' for table, trigger in self._triggers]
        gone = [f'DELETE FROM public."{table}"' for table in self._tables]
        back = [f'INSERT INTO public."{table}" SELECT * FROM "{name}"."{table}"' for table in self._tables]
        counted = [
            f'SELECT setval(\'public."{sequence}"\', last_value, is_called) FROM "{name}"."{sequence}"'
            for sequence in self._sequences
        ]
        self._do([*off, *gone, *back, *counted, *on])
        shutil.rmtree(self.index.parent)
        shutil.copytree(self._folder / name, self.index.parent)

    def close(self) -> None:
        """Drop the database."""
        self.sql.close()
        self.world.close()
        self._administer(f'DROP DATABASE "{self._database}" WITH (FORCE)')
        self._admin.dispose()

    def _do(self, statements: Sequence[str]) -> None:
        with self.world.engine.begin() as connection:
            connection.exec_driver_sql(";".join(statements))

    def _administer(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(statement))


_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
_SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'"
_TRIGGERS = """
SELECT relname, tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE NOT tgisinternal
"""


def _hasty(store: SqlStore) -> SqlStore:
    """A store whose commits need not reach the disk, and whose connections are not asked first: no power is cut."""

    @event.listens_for(store.engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.execute("SET synchronous_commit = off")
        connection.commit()

    store.engine.pool._pre_ping = False
    return store


@contextmanager
def ground(server_url: str | None) -> Iterator[Ground]:
    """A ground on this PostgreSQL server, or on SQLite; all of it is removed at the end."""
    memory = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="playhead-ground-", dir=memory) as name:
        folder = Path(name)
        made = SqliteGround(folder) if server_url is None else PostgresGround(server_url, folder)
        try:
            yield made
        finally:
            made.close()
