"""The migrations make what the models say, on both databases, and undo it."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from domain.errors import Misconfigured
from infrastructure.sql import schema
from infrastructure.sql.models import Model
from infrastructure.sql.store import SqlStore


def test_upgraded_database_has_exactly_the_tables_and_indexes_of_the_models(sql_store: SqlStore) -> None:
    with sql_store.database.reading() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Model.metadata)

    assert differences == []


def test_downgrade_leaves_nothing_and_upgrade_makes_it_again(sql_store: SqlStore) -> None:
    schema.downgrade(sql_store.database)

    assert set(inspect(sql_store.engine).get_table_names()) <= {"alembic_version"}
    with pytest.raises(Misconfigured, match="playhead db upgrade"):
        sql_store.require_newest()

    sql_store.upgrade()

    sql_store.require_newest()
    assert sql_store.events.head() == 0


def test_upgrade_of_an_upgraded_database_changes_nothing(sql_store: SqlStore) -> None:
    sql_store.upgrade()

    sql_store.require_newest()
