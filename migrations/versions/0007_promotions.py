"""Promotions: from which generations results are read."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

time = sa.String(32).with_variant(sa.DateTime(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "promotions",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("promoted", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("at", time, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER promotions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON promotions "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute("ALTER TABLE promotions ENABLE ALWAYS TRIGGER promotions_append_only")
    else:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER promotions_no_{verb.lower()} BEFORE {verb} ON promotions "
                f"BEGIN SELECT RAISE(ABORT, 'promotions is append-only: {verb} is refused'); END"
            )


def downgrade() -> None:
    op.drop_table("promotions")
