"""The two logs, their heads, the subscriptions, the claims, the replays; and what keeps the logs append-only."""

import sqlalchemy as sa
from alembic import op

from migrations.steps import is_postgres, partial_index, position, refuse_changes, run, time, uuid

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("position", position, primary_key=True, autoincrement=False),
        sa.Column("id", uuid, nullable=False, unique=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("time", time, nullable=False),
        sa.Column("recorded_at", time, nullable=False),
        sa.Column("route", sa.Text),
        sa.Column("lane", sa.SmallInteger, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("key", sa.Text),
        sa.Column("body_digest", sa.Text),
        sa.Column("schema_version", sa.Integer, nullable=False),
        sa.Column("cause", uuid),
        sa.Column("depth", sa.SmallInteger, nullable=False),
        sa.Column("attributes", sa.Text),
        sa.Column("direct", sa.Boolean, nullable=False),
    )
    partial_index("events_source_key", "events", ["source", "key"], "key IS NOT NULL", unique=True)
    partial_index("events_subject_position", "events", ["subject", "position"], "subject <> ''")
    partial_index("events_cause", "events", ["cause"], "cause IS NOT NULL")
    op.create_index("events_route_position", "events", ["route", "position"])
    op.create_index("events_type_position", "events", ["type", "position"])
    op.create_index("events_time", "events", ["time"])

    op.create_table(
        "task_contexts",
        sa.Column("position", position, primary_key=True, autoincrement=False),
        sa.Column("event_position", position, nullable=False),
        sa.Column("pipeline", sa.Text, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("recorded_at", time, nullable=False),
        sa.Column("emits", sa.Boolean, nullable=False),
    )
    of_event = ["event_position", "pipeline", "generation"]
    partial_index("task_contexts_completed", "task_contexts", of_event, "status = 'completed'", unique=True)
    partial_index("task_contexts_not_completed", "task_contexts", ["event_position"], "status <> 'completed'")
    partial_index("task_contexts_emits", "task_contexts", ["position"], "emits")

    heads = op.create_table(
        "heads",
        sa.Column("log", sa.Text, primary_key=True),
        sa.Column("position", position, nullable=False),
    )
    op.bulk_insert(heads, [{"log": "events", "position": 0}, {"log": "task_contexts", "position": 0}])
    op.create_table(
        "subscriptions",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("log", sa.Text, nullable=False),
        sa.Column("cursor", position, nullable=False),
    )
    op.create_table(
        "claims",
        sa.Column("id", position, primary_key=True, autoincrement=True),
        sa.Column("subscription", sa.Text, nullable=False),
        sa.Column("first_position", position, nullable=False),
        sa.Column("last_position", position, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("deaths", sa.Integer, nullable=False, server_default="0"),
        sa.Column("fence", position, nullable=False, server_default="0"),
        sa.Column("owner", sa.Text),
        sa.Column("available_at", time, nullable=False),
        sa.Column("deadline", time),
        sa.Column("progress", sa.Text),
        sa.UniqueConstraint("subscription", "first_position", name="claims_subscription_first_position"),
        sqlite_autoincrement=True,
    )
    op.create_index("claims_due", "claims", ["subscription", "available_at"])
    op.create_table(
        "replays",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("selection", sa.Text, nullable=False),
        sa.Column("fingerprints", sa.Text, nullable=False),
        sa.Column("count", position, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sqlite_autoincrement=True,
    )
    if is_postgres():
        run("0001_postgres.sql")
    refuse_changes("events", "task_contexts", "replays")


def downgrade() -> None:
    if is_postgres():
        op.execute("DROP FUNCTION complete_claim")
        op.execute("DROP FUNCTION append_events")
        op.execute("DROP TYPE event_item")
    for table in ("replays", "claims", "subscriptions", "heads", "task_contexts", "events"):
        op.drop_table(table)
    if is_postgres():
        op.execute("DROP FUNCTION refuse_change")
