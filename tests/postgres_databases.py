"""PostgreSQL databases for tests: made, emptied between tests, and dropped, on the server of a URL."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

from sqlalchemy import Engine, NullPool, create_engine, make_url, text

from tests.stores import opened


@contextmanager
def postgres_database(server_url: str) -> Iterator[str]:
    """The URL of a new, empty database; dropped at the end."""
    url = make_url(server_url)
    name = f"test_{uuid4().hex}"
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        _execute(admin, f'CREATE DATABASE "{name}"')
        try:
            yield url.set(database=name).render_as_string(hide_password=False)
        finally:
            # Not WITH (FORCE), which only a superuser may do while an autovacuum worker is at work there.
            _execute(admin, _END_OTHERS, name=name)
            _execute(admin, f'DROP DATABASE "{name}"')
    finally:
        admin.dispose()


class Snapshots:
    """Copies of all tables of a migrated database, in schemas of their own.

    A copy of the whole database takes ten times as long to make. To put the tables back, the triggers that keep them
    append-only are switched off meanwhile, as only their owner may.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with engine.begin() as connection:
            self._tables = [name for (name,) in connection.execute(text(_TABLES))]
            self._sequences = [name for (name,) in connection.execute(text(_SEQUENCES))]
            self._triggers = connection.execute(text(_TRIGGERS)).all()

    def keep(self, name: str) -> None:
        """Remember what the tables hold now."""
        statements = [f'CREATE SCHEMA "{name}"']
        statements += [f'CREATE TABLE "{name}"."{table}" AS TABLE public."{table}"' for table in self._tables]
        statements += [
            f'CREATE TABLE "{name}"."{sequence}" AS SELECT last_value, is_called FROM public."{sequence}"'
            for sequence in self._sequences
        ]
        self._do(statements)

    def restore(self, name: str) -> None:
        """Let the tables hold what they held then."""
        off = [f'ALTER TABLE public."{table}" DISABLE TRIGGER "{trigger}"' for table, trigger in self._triggers]
        on = [f'ALTER TABLE public."{table}" ENABLE ALWAYS TRIGGER "{trigger}"' for table, trigger in self._triggers]
        gone = [f'DELETE FROM public."{table}"' for table in self._tables]
        back = [f'INSERT INTO public."{table}" SELECT * FROM "{name}"."{table}"' for table in self._tables]
        counted = [
            f'SELECT setval(\'public."{sequence}"\', last_value, is_called) FROM "{name}"."{sequence}"'
            for sequence in self._sequences
        ]
        self._do([*off, *gone, *back, *counted, *on])

    def _do(self, statements: Sequence[str]) -> None:
        with self._engine.begin() as connection:
            connection.exec_driver_sql(";".join(statements))


def lent_databases(server_url: str) -> Generator[str, None, None]:
    """URLs of migrated databases, one for each test, for ever; the last test has ended when the next one asks.

    To make a database takes a third of a second, to empty one some hundredths. So one is lent again and again, until
    a test has changed its schema.
    """
    while True:
        with postgres_database(server_url) as url:
            with opened(url) as store:
                store.upgrade()
            engine = create_engine(url, poolclass=NullPool)
            snapshots = Snapshots(engine)
            snapshots.keep("empty")
            schema = _schema(engine)
            while True:
                yield url
                _execute(engine, _END_OTHERS, name=str(make_url(url).database))
                if _schema(engine) != schema:
                    break
                snapshots.restore("empty")


def _schema(engine: Engine) -> str:
    with engine.connect() as connection:
        return str(connection.execute(text(_SCHEMA)).scalar_one())


def _execute(engine: Engine, statement: str, **parameters: str) -> None:
    with engine.connect() as connection:
        connection.execute(text(statement), parameters)


_END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = :name AND usename = current_user AND pid <> pg_backend_pid()
"""
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
_SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'"
_TRIGGERS = """
SELECT relname, tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE NOT tgisinternal
"""
_SCHEMA = """
SELECT string_agg(part, E'\\n' ORDER BY part) FROM (
    SELECT pg_get_functiondef(oid) AS part FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT concat_ws(' ', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND attnum > 0
    UNION ALL
    SELECT concat_ws(' ', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'set', setconfig) FROM pg_db_role_setting
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
) AS parts
"""
