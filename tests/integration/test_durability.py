"""A database that may lose what it acknowledged is refused, with each setting and what to do."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from domain.errors import Misconfigured
from infrastructure.sql.durability import require_durable
from infrastructure.sql.store import SqlStore
from tests.integration.http import served
from tests.stores import opened


@pytest.fixture
def forgetful(postgres_url: str) -> str:
    """The URL of a PostgreSQL database whose commits are acknowledged before they are on the disk."""
    url = make_url(postgres_url)
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'ALTER DATABASE "{url.database}" SET synchronous_commit = off'))
    admin.dispose()
    return postgres_url


def test_a_durable_database_is_taken(sql_store: SqlStore) -> None:
    require_durable(sql_store.database)


@pytest.mark.postgres
def test_postgres_that_acknowledges_early_is_refused(forgetful: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"synchronous_commit is off .*set it on"), served(forgetful, tmp_path):
        pass


@pytest.mark.postgres
def test_who_says_so_runs_on_it_and_is_told_all_the_same(forgetful: str, tmp_path: Path) -> None:
    with served(forgetful, tmp_path, durability="relaxed") as http:
        check = http.get("/readyz").json()["checks"]["durability"]
    assert not check["ok"]
    assert "synchronous_commit" in check["detail"]


@pytest.mark.parametrize(
    ("pragma", "said"), [("synchronous=NORMAL", "synchronous is 1"), ("journal_mode=DELETE", "journal_mode is delete")]
)
def test_sqlite_without_a_flush_or_a_log_is_refused(sqlite_url: str, pragma: str, said: str) -> None:
    with opened(sqlite_url) as store:
        connection = store.engine.raw_connection()
        connection.cursor().execute(f"PRAGMA {pragma}")
        connection.close()  # back into the pool, from where the next look takes it
        with pytest.raises(Misconfigured, match=said):
            require_durable(store.database)
