"""The code of pipelines, by fingerprint."""

import sqlalchemy as sa
from alembic import op

from migrations.steps import refuse_changes, time

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pipeline_codes",
        sa.Column("fingerprint", sa.Text, primary_key=True),
        sa.Column("pipeline", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("recorded_at", time, nullable=False),
    )
    refuse_changes("pipeline_codes")


def downgrade() -> None:
    op.drop_table("pipeline_codes")
