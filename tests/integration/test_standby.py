"""A standby: an API on a PostgreSQL that can only be read answers what is asked, and refuses what is sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from infrastructure.service import Service
from tests.end_to_end.processes import wait_until
from tests.integration.http import Http, event, served
from tests.postgres_databases import postgres_database
from tests.stores import opened

pytestmark = pytest.mark.postgres
NOWHERE = "redis://127.0.0.1:1/0"


def test_an_api_on_a_standby_answers_reads_and_refuses_events(postgres_server: str, tmp_path: Path):
    with postgres_database(postgres_server) as url:
        with opened(url) as store:
            store.upgrade()
        with served(url, tmp_path, engine=True) as primary:
            event_id = primary.post(event()).json()["event_id"]
            wait_until(lambda: shown(primary) == 1)
        make_standby(url)

        with served(url, tmp_path, celery_broker_url=NOWHERE) as standby:
            paths = ("/readyz", "/events", f"/events/{event_id}", f"/tasks/{event_id}", "/metrics", "/search")
            found = [standby.get(path).status_code for path in paths]
            refused = standby.post(event())

    assert found == [200] * 6
    assert refused.status_code == 503
    assert "read-only" in refused.json()["detail"]


def test_a_standby_that_is_behind_leaves_the_index_as_it_is(postgres_server: str, tmp_path: Path):
    """It shares the index with the primary, whose contexts it has not got yet."""
    with postgres_database(postgres_server) as url:
        with opened(url) as store:
            store.upgrade()
        with served(url, tmp_path):
            pass  # it registers its pipelines
        with copied(url, postgres_server) as behind:
            with served(url, tmp_path, engine=True) as primary:
                primary.post(event())
                wait_until(lambda: shown(primary) == 1)
            make_standby(behind)

            with served(behind, tmp_path, celery_broker_url=NOWHERE) as standby:
                Service(standby.container).open_index()
                assert shown(standby) == 1
            with served(url, tmp_path, engine=True) as primary:
                Service(primary.container).open_index()
                primary.post(event())
                wait_until(lambda: shown(primary) == 2)


def shown(http: Http) -> int:
    """How many documents are found; no warning is told."""
    answer = http.get("/search").json()
    assert answer.get("warning") is None
    return int(answer["total"])


@contextmanager
def copied(url: str, server: str) -> Iterator[str]:
    """A copy of a database, as a standby that has heard of no change since."""
    name, address = make_url(url).database, make_url(server).set(drivername="postgresql")
    copy = f"{name}_standby"
    with psycopg.connect(address.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{name}"')
        try:
            yield make_url(url).set(database=copy).render_as_string(hide_password=False)
        finally:
            connection.execute(f'DROP DATABASE "{copy}"')


def make_standby(url: str) -> None:
    """Make every transaction of a database one for reading, as those of a hot standby are."""
    address = make_url(url).set(drivername="postgresql")
    with psycopg.connect(address.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{address.database}" SET default_transaction_read_only = on')
