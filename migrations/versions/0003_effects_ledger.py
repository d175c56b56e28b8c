"""Contexts say whether they declare calls; the ledger of calls, and which endpoints are disabled."""

import sqlalchemy as sa
from alembic import op

from migrations.steps import is_postgres, partial_index, position, refuse_changes, run, time, uuid

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("task_contexts", sa.Column("calls", sa.Boolean, nullable=False, server_default=sa.false()))
    partial_index("task_contexts_calls", "task_contexts", ["position"], "calls")
    op.create_table(
        "effect_ledger",
        sa.Column("position", position, primary_key=True, autoincrement=True),
        sa.Column("effect_id", uuid, nullable=False),
        sa.Column("context_position", position, nullable=False),
        sa.Column("event_id", uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("recorded_at", time, nullable=False),
        sqlite_autoincrement=True,
    )
    attempt = ["effect_id", "attempt"]
    outcome = "phase IN ('done', 'failed', 'gave_up', 'disabled')"
    partial_index("effect_ledger_intent", "effect_ledger", attempt, "phase = 'intent'", unique=True)
    partial_index("effect_ledger_outcome", "effect_ledger", attempt, outcome, unique=True)
    partial_index("effect_ledger_retry", "effect_ledger", attempt, "phase = 'retry'", unique=True)
    op.create_index("effect_ledger_effect", "effect_ledger", ["effect_id", "position"])
    op.create_index("effect_ledger_context", "effect_ledger", ["context_position"])
    partial_index("effect_ledger_dead", "effect_ledger", ["position"], "phase IN ('gave_up', 'disabled')")
    op.create_table(
        "endpoints",
        sa.Column("position", position, primary_key=True, autoincrement=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("recorded_at", time, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("endpoints_url", "endpoints", ["url", "position"])
    if is_postgres():
        run("0003_postgres.sql")
    refuse_changes("effect_ledger", "endpoints")


def downgrade() -> None:
    if is_postgres():
        op.execute("DROP FUNCTION complete_claim")
        run("0002_postgres.sql")
    op.drop_table("endpoints")
    op.drop_table("effect_ledger")
    op.drop_index("task_contexts_calls", "task_contexts")
    op.drop_column("task_contexts", "calls")
