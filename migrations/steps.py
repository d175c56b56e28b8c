"""Steps that several migrations take, and the types of their columns."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

position = sa.BigInteger().with_variant(sa.Integer, "sqlite")
uuid = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
time = sa.String(32).with_variant(sa.DateTime(timezone=True), "postgresql")


def is_postgres() -> bool:
    """Whether it is PostgreSQL that is migrated, not SQLite."""
    return op.get_bind().dialect.name == "postgresql"


def run(file: str, *, start: str = "") -> None:
    """Run a file of several statements as it stands, from a text in it on: nothing in it is a parameter."""
    script = (Path(__file__).parent / "versions" / file).read_text()
    cursor = op.get_bind().connection.cursor()
    try:
        cursor.execute(script[script.index(start) :])
    finally:
        cursor.close()


def partial_index(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    """Make an index of the rows that a condition holds for."""
    clause = sa.text(where)
    op.create_index(name, table, columns, unique=unique, postgresql_where=clause, sqlite_where=clause)


def refuse_changes(*tables: str) -> None:
    """Make tables append-only: the database refuses to change or delete a row, and PostgreSQL to empty the table."""
    for table in tables:
        if is_postgres():
            op.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
            )
            # ALWAYS: also under session_replication_role = replica.
            op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only")
            continue
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: {verb} is refused'); END"
            )
