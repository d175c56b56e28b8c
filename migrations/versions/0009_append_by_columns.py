"""PostgreSQL takes what is appended as an array for each column; see `0009_postgres.sql`."""

from alembic import op

from migrations.steps import is_postgres, run

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_EVENTS = (
    "uuid[], text[], text[], text[], timestamptz[], text[], smallint[], text[], text[], text[], bigint[], "
    "timestamptz[], integer[], uuid[], smallint[], text[], boolean"
)
_CONTEXTS = (
    "bigint, bigint, json, bigint, bigint[], text[], integer[], text[], text[], text[], text[], boolean[], text[], "
    "boolean[]"
)


def upgrade() -> None:
    if is_postgres():
        run("0009_postgres.sql")


def downgrade() -> None:
    if is_postgres():
        op.execute(f"DROP FUNCTION complete_claim({_CONTEXTS})")
        op.execute(f"DROP FUNCTION append_events({_EVENTS})")
