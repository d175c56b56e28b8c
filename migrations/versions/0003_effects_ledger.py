"""Contexts say whether they declare calls; the ledger of calls, and which endpoints are disabled."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

APPEND_ONLY = ("effect_ledger", "endpoints")

position = sa.BigInteger().with_variant(sa.Integer, "sqlite")
uuid = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
time = sa.String(32).with_variant(sa.DateTime(timezone=True), "postgresql")
_HERE = Path(__file__).parent


def upgrade() -> None:
    op.add_column("task_contexts", sa.Column("calls", sa.Boolean, nullable=False, server_default=sa.false()))
    _partial_index("task_contexts_calls", "task_contexts", ["position"], "calls")
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
    _partial_index("effect_ledger_intent", "effect_ledger", attempt, "phase = 'intent'", unique=True)
    _partial_index("effect_ledger_outcome", "effect_ledger", attempt, outcome, unique=True)
    _partial_index("effect_ledger_retry", "effect_ledger", attempt, "phase = 'retry'", unique=True)
    op.create_index("effect_ledger_effect", "effect_ledger", ["effect_id", "position"])
    op.create_index("effect_ledger_context", "effect_ledger", ["context_position"])
    _partial_index("effect_ledger_dead", "effect_ledger", ["position"], "phase IN ('gave_up', 'disabled')")
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
    if op.get_bind().dialect.name == "postgresql":
        _run((_HERE / "0003_postgres.sql").read_text())
    else:
        for table in APPEND_ONLY:
            for verb in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: {verb} is refused'); END"
                )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION complete_claim")
        _run((_HERE / "0002_postgres.sql").read_text())
    op.drop_table("endpoints")
    op.drop_table("effect_ledger")
    op.drop_index("task_contexts_calls", "task_contexts")
    op.drop_column("task_contexts", "calls")


def _partial_index(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    clause = sa.text(where)
    op.create_index(name, table, columns, unique=unique, postgresql_where=clause, sqlite_where=clause)


def _run(script: str) -> None:
    """Run a script of several statements as it stands: nothing in it is a parameter."""
    cursor = op.get_bind().connection.cursor()
    try:
        cursor.execute(script)
    finally:
        cursor.close()
