"""Durability: whether a database keeps what it has acknowledged, also where the power fails."""

from sqlalchemy import Connection, text

from domain.errors import Misconfigured
from infrastructure.sql.engine import Database

_POSTGRES = {
    "fsync": ("off", "commits may never reach the disk, and a crash may leave garbage"),
    "full_page_writes": ("off", "a power failure may leave half-written pages"),
    "synchronous_commit": ("off", "a crash loses the commits of the last moment"),
}
_FULL = 2
"""SQLite's number of `synchronous=FULL`."""


def require_durable(database: Database) -> None:
    """Refuse a database that may lose what it acknowledged.

    PostgreSQL: `fsync`, `full_page_writes` and `synchronous_commit` (local at least). SQLite: a write-ahead log that is
    flushed at each commit. What the disk itself promises cannot be seen from here.

    Raises:
        Misconfigured: names each setting, what it costs, and what to set.
        Unavailable: the database cannot be reached.
    """
    with database.reading() as connection:
        faults = _postgres(connection) if database.is_postgres else _sqlite(connection)
    if faults:
        raise Misconfigured(f"The database may lose acknowledged events: {'; '.join(faults)}.")


def _postgres(connection: Connection) -> list[str]:
    found = {name: connection.scalar(text(f"SHOW {name}")) for name in _POSTGRES}
    return [
        f"{name} is {found[name]} ({cost}); set it on in postgresql.conf"
        for name, (wrong, cost) in _POSTGRES.items()
        if found[name] == wrong
    ]


def _sqlite(connection: Connection) -> list[str]:
    faults = []
    mode = str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())
    if mode != "wal":
        faults.append(f"journal_mode is {mode}, not wal: put the file on a local disk, which can have one")
    synchronous = int(connection.exec_driver_sql("PRAGMA synchronous").scalar() or 0)
    if synchronous < _FULL:
        faults.append(f"synchronous is {synchronous}, not {_FULL} (FULL)")
    return faults
