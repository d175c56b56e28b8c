"""Lanes, pauses and holds of subscriptions; dead letters grouped by what failed."""

import sqlalchemy as sa
from alembic import op

from migrations.steps import is_postgres, position, run

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


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
    if is_postgres():
        op.execute("DROP FUNCTION complete_claim")
        run("0002_postgres.sql")


def downgrade() -> None:
    if is_postgres():
        op.execute("DROP FUNCTION complete_claim")
        run("0001_postgres.sql", start="-- Complete a claim")
    op.drop_index("task_contexts_dead", "task_contexts")
    op.drop_column("task_contexts", "failure")
    for column in ("held", "paused", "lane", "lanes", "route"):
        op.drop_column("subscriptions", column)
