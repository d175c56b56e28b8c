"""Schema: brings a database to the newest migration, and says how far it is.

Alembic is imported by who migrates alone: it is a seventh of a process's memory.
"""

import re
from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from domain.errors import Misconfigured
from infrastructure.sql.engine import Database

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATION = re.compile(r"(\d{4})_\w+\.py")


def upgrade(database: Database, revision: str = "head") -> None:
    """Run the migrations up to a revision, in one transaction."""
    from alembic import command  # noqa: PLC0415  # see the module's docstring

    with database.writing() as connection:
        command.upgrade(_config(connection), revision)


def downgrade(database: Database, revision: str = "base") -> None:
    """Undo the migrations down to a revision, in one transaction."""
    from alembic import command  # noqa: PLC0415  # see the module's docstring

    with database.writing() as connection:
        command.downgrade(_config(connection), revision)


def current(database: Database) -> str | None:
    """The revision that the database has, None where no migration ran."""
    with database.reading() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found


def newest() -> str:
    """The revision that this code needs: that of the migration with the highest number."""
    names = (each.name for each in files("migrations").joinpath("versions").iterdir())
    return max(found[1] for found in map(_MIGRATION.fullmatch, names) if found)


def require_newest(database: Database) -> None:
    """Refuse a database that this code cannot work with.

    Raises:
        Misconfigured: migrations are missing; names the command that runs them.
    """
    has, needs = current(database), newest()
    if has != needs:
        raise Misconfigured(
            f"The database is at revision {has or 'none'}, this code needs {needs}. Run: playhead db upgrade"
        )


def _config(connection: object) -> "Config":
    from alembic.config import Config  # noqa: PLC0415  # see the module's docstring

    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    config.attributes["connection"] = connection
    return config
