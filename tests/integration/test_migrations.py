"""The migrations make what the models say, on both databases, and undo it."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
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


def test_the_newest_migration_is_the_one_that_alembic_takes_for_it(sql_store: SqlStore) -> None:
    config = Config()
    config.set_main_option("script_location", "migrations")

    assert ScriptDirectory.from_config(config).get_current_head() == schema.newest()
    assert schema.current(sql_store.database) == schema.newest()


def test_who_does_not_migrate_has_no_alembic_in_memory() -> None:
    code = "import sys, infrastructure.container; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
