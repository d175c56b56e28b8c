"""Keys of the API, and the audit: the append-only record of who did what."""

import sqlalchemy as sa
from alembic import op

from migrations.steps import position, refuse_changes, time

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("revoked_at", time),
    )
    op.create_table(
        "audit",
        sa.Column("position", position, primary_key=True, autoincrement=False),
        sa.Column("recorded_at", time, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    refuse_changes("audit")


def downgrade() -> None:
    op.drop_table("audit")
    op.drop_table("api_keys")
