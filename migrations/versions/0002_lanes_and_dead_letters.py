"""Lanes, pauses and holds of subscriptions; dead letters grouped by what failed."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

position = sa.BigInteger().with_variant(sa.Integer, "sqlite")
FOLDER = Path(__file__).parent


def upgrade() -> None:
    op.add_column("subscriptions", sa.Column("route", sa.Text))
    op.add_column("subscriptions", sa.Column("lanes", sa.SmallInteger, nullable=False, server_default="1"))
    op.add_column("subscriptions", sa.Column("lane", sa.SmallInteger, nullable=False, server_default="0"))
    op.add_column("subscriptions", sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("subscriptions", sa.Column("held", position))
    op.execute("UPDATE subscriptions SET route = name WHERE log = 'events' AND name NOT LIKE 'replay-%'")
    op.add_column("task_contexts", sa.Column("failure", sa.Text))
    dead = sa.text("status = 'dead'")
    op.create_index(
        "task_contexts_dead", "task_contexts", ["failure", "position"], postgresql_where=dead, sqlite_where=dead
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION complete_claim")
        _run(FOLDER / "0002_postgres.sql")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION complete_claim")
        before = (FOLDER / "0001_postgres.sql").read_text()
        _run_text(before[before.index("-- Complete a claim") :])
    op.drop_index("task_contexts_dead", "task_contexts")
    op.drop_column("task_contexts", "failure")
    for column in ("held", "paused", "lane", "lanes", "route"):
        op.drop_column("subscriptions", column)


def _run(script: Path) -> None:
    _run_text(script.read_text())


def _run_text(script: str) -> None:
    """Run a script of several statements as it stands: nothing in it is a parameter."""
    cursor = op.get_bind().connection.cursor()
    try:
        cursor.execute(script)
    finally:
        cursor.close()
