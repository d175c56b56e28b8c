"""PostgreSQL takes what is appended as an array for each column; see `0009_postgres.sql`."""

from pathlib import Path

from alembic import op

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
    if op.get_bind().dialect.name != "postgresql":
        return
    cursor = op.get_bind().connection.cursor()
    try:
        # As it stands: nothing in it is a parameter.
        cursor.execute((Path(__file__).parent / "0009_postgres.sql").read_text())
    finally:
        cursor.close()


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP FUNCTION complete_claim({_CONTEXTS})")
        op.execute(f"DROP FUNCTION append_events({_EVENTS})")
