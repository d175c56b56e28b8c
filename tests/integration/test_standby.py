"""A standby: an API on a PostgreSQL that can only be read answers what is asked, and refuses what is sent."""

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from tests.integration.http import event, served
from tests.postgres_databases import postgres_database
from tests.stores import opened

pytestmark = pytest.mark.postgres


def test_an_api_on_a_standby_answers_reads_and_refuses_events(postgres_server: str, tmp_path: Path):
    with postgres_database(postgres_server) as url:
        with opened(url) as store:
            store.upgrade()
        with served(url, tmp_path, engine=True) as primary:
            event_id = primary.post(event()).json()["event_id"]
        address = make_url(url).set(drivername="postgresql")
        with psycopg.connect(address.render_as_string(hide_password=False), autocommit=True) as connection:
            # As hot standbys are: every transaction of theirs is one for reading.
            connection.execute(f'ALTER DATABASE "{address.database}" SET default_transaction_read_only = on')

        with served(url, tmp_path, celery_broker_url="redis://127.0.0.1:1/0") as standby:
            found = [
                standby.get(path).status_code
                for path in ("/readyz", "/events", f"/events/{event_id}", f"/tasks/{event_id}", "/metrics")
            ]
            refused = standby.post(event())

    assert found == [200] * 5
    assert refused.status_code == 503
    assert "read-only" in refused.json()["detail"]
