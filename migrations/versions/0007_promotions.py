"""Promotions: from which generations results are read."""

import sqlalchemy as sa
from alembic import op

from migrations.steps import refuse_changes, time

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "promotions",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("promoted", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("at", time, nullable=False),
    )
    refuse_changes("promotions")


def downgrade() -> None:
    op.drop_table("promotions")
