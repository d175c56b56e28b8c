"""Closing a store while another thread uses it."""

import gc
import threading

import pytest
from sqlalchemy import text

from infrastructure.sql.store import SqlStore


@pytest.mark.filterwarnings("error")
def test_a_connection_in_use_is_closed_when_its_user_is_done_with_it(database_url: str) -> None:
    store = SqlStore(database_url)
    with store.database.writing() as connection:
        driver = connection.connection.dbapi_connection
        assert driver is not None
        closing = threading.Thread(target=store.close)
        closing.start()
        closing.join()
        assert connection.execute(text("SELECT 1")).scalar_one() == 1

    with pytest.raises(Exception, match=r"(?i)closed"):
        driver.execute("SELECT 1")
    with store.database.reading() as connection:
        assert connection.execute(text("SELECT 2")).scalar_one() == 2
    store.close()
    gc.collect()
