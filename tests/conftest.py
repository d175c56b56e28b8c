"""Fixtures that every kind of test shares: real services by their URLs, and databases of one's own on them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
import structlog

from infrastructure.sql.store import SqlStore
from tests.postgres_databases import lent_databases
from tests.stores import Store, of_memory, of_sql, opened

# Unless told otherwise structlog draws the stack with every local variable, which takes long, and looks into objects
# that other threads are at.
structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])

SQL = ("sqlite", pytest.param("postgres", marks=pytest.mark.postgres))


def service_url(variable: str) -> str:
    """The URL of a real service. A missing one skips the test; where services are required, it fails."""
    url = os.environ.get(variable, "")
    if not url and os.environ.get("PLAYHEAD_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{variable} is not set, and PLAYHEAD_REQUIRE_SERVICES=1 asks for every service.")
    if not url:
        pytest.skip(f"{variable} is not set")
    return url


@pytest.fixture(scope="session")
def redis_url() -> str:
    return service_url("TEST_REDIS_URL")


@pytest.fixture
def broker(redis_url: str) -> Iterator[str]:
    """An empty Redis database that is not that of another process of this test run."""
    number = 1 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    url = urlsplit(redis_url)._replace(path=f"/{number}").geturl()
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    return service_url("TEST_RABBITMQ_URL")


@pytest.fixture(scope="session")
def elasticsearch_url() -> str:
    return service_url("TEST_ELASTICSEARCH_URL")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with every migration."""
    path = tmp_path_factory.mktemp("template") / "playhead.db"
    with opened(f"sqlite:///{path}") as store:
        store.upgrade()
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite database of the test's own."""
    path = tmp_path / "playhead.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """The URL of a PostgreSQL server on which databases may be created."""
    return service_url("TEST_DATABASE_URL")


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: str) -> Iterator[Iterator[str]]:
    """URLs of migrated PostgreSQL databases; the next one is asked for when no test is at work on the last."""
    databases = lent_databases(postgres_server)
    yield databases
    databases.close()


@pytest.fixture
def postgres_url(postgres_databases: Iterator[str]) -> str:
    """A migrated PostgreSQL database of the test's own."""
    return next(postgres_databases)


@pytest.fixture(params=SQL)
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of the test's own, on SQLite and on PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def sql_store(database_url: str) -> Iterator[SqlStore]:
    """The store of `database_url`."""
    with opened(database_url) as store:
        yield store


@pytest.fixture(params=("memory", *SQL))
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """An empty store on each kind of database: what a contract suite runs on."""
    if request.param == "memory":
        yield of_memory()
        return
    with opened(request.getfixturevalue(f"{request.param}_url")) as opened_store:
        yield of_sql(opened_store)
