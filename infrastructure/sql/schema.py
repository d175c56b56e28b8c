"""Schema: brings a database to the newest migration, and says how far it is."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from domain.errors import Misconfigured
from infrastructure.sql.engine import Database


def upgrade(database: Database, revision: str = "head") -> None:
    """Run the migrations up to a revision, in one transaction."""
    with database.writing() as connection:
        command.upgrade(_config(connection), revision)


def downgrade(database: Database, revision: str = "base") -> None:
    """Undo the migrations down to a revision, in one transaction."""
    with database.writing() as connection:
        command.downgrade(_config(connection), revision)


def current(database: Database) -> str | None:
    """The revision that the database has, None where no migration ran."""
    with database.reading() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str | None:
    """The revision that this code needs."""
    return ScriptDirectory.from_config(_config()).get_current_head()


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


def _config(connection: object = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    config.attributes["connection"] = connection
    return config
