"""The seals of both logs, the ids of the logs, and the restores that changed them."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

from migrations.steps import position, refuse_changes, time, uuid

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


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
    refuse_changes("seals", "restores")
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
