"""What was decided about replays once and for all: their effects, and that they were aborted."""

import sqlalchemy as sa
from alembic import op

from migrations.steps import refuse_changes, time

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLE = "replay_decisions"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("replay", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("recorded_at", time, nullable=False),
    )
    op.create_index("replay_decisions_once", TABLE, ["replay", "kind"], unique=True)
    refuse_changes(TABLE)


def downgrade() -> None:
    op.drop_table(TABLE)
