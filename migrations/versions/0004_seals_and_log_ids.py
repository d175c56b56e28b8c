"""The seals of both logs, the ids of the logs, and the restores that changed them."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

APPEND_ONLY = ("seals", "restores")

position = sa.BigInteger().with_variant(sa.Integer, "sqlite")
uuid = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
time = sa.String(32).with_variant(sa.DateTime(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "seals",
        sa.Column("log", sa.Text, primary_key=True),
        sa.Column("first_position", position, primary_key=True, autoincrement=False),
        sa.Column("last_position", position, nullable=False),
        sa.Column("log_id", uuid, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("previous", sa.LargeBinary, nullable=False),
        sa.Column("chain", sa.LargeBinary, nullable=False),
        sa.Column("recorded_at", time, nullable=False),
        sa.Column("digests", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "restores",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("log", sa.Text, nullable=False),
        sa.Column("log_id", uuid, nullable=False),
        sa.Column("previous_id", uuid, nullable=False),
        sa.Column("position", position, nullable=False),
        sa.Column("sealed", position, nullable=False),
        sa.Column("recorded_at", time, nullable=False),
    )
    for table in APPEND_ONLY:
        _refuse_changes(table)
    op.add_column("heads", sa.Column("log_id", uuid))
    heads = sa.table("heads", sa.column("log", sa.Text), sa.column("log_id", uuid))
    for log in ("events", "task_contexts"):
        op.execute(heads.update().where(heads.c.log == log).values(log_id=str(uuid4())))
    with op.batch_alter_table("heads") as changed:
        changed.alter_column("log_id", existing_type=uuid, nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("heads") as changed:
        changed.drop_column("log_id")
    op.drop_table("restores")
    op.drop_table("seals")


def _refuse_changes(table: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only")
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: {verb} is refused'); END"
        )
