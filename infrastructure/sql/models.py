"""The tables, as SQLAlchemy models. The migrations are what makes them; a test compares the two."""

from datetime import UTC, datetime
from typing import ClassVar

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.sql import expression, func
from sqlalchemy.types import TypeDecorator


class _UtcText(TypeDecorator[datetime]):
    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002  # SQLAlchemy's signature
        return None if value is None else utc_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # see above
        return None if value is None else datetime.fromisoformat(value)


def utc_text(value: datetime) -> str:
    """A time as SQLite keeps it: always microseconds, always UTC, so that text sorts as time does."""
    return value.astimezone(UTC).isoformat(timespec="microseconds")


UtcTime = DateTime(timezone=True).with_variant(_UtcText(), "sqlite")
"""An aware UTC time: timestamptz on PostgreSQL, sortable text on SQLite."""
Uuid = String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
Position = BigInteger().with_variant(Integer, "sqlite")


class Model(DeclarativeBase):
    """What every table's model derives from."""


class AppendOnly:
    """A table in which nothing is updated or deleted; the database refuses it by triggers."""

    append_only: ClassVar[bool] = True


class EventRow(AppendOnly, Model):
    """One event; see `domain.events.RecordedEvent`. `direct` rows have their own claim: cursors pass over them."""

    __tablename__ = "events"

    position: Mapped[int] = mapped_column(Position, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(Uuid, unique=True)
    type: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    time: Mapped[datetime] = mapped_column(UtcTime)
    recorded_at: Mapped[datetime] = mapped_column(UtcTime)
    route: Mapped[str | None] = mapped_column(Text)
    lane: Mapped[int] = mapped_column(SmallInteger)
    data: Mapped[str] = mapped_column(Text)
    key: Mapped[str | None] = mapped_column(Text)
    body_digest: Mapped[str | None] = mapped_column(Text)
    schema_version: Mapped[int] = mapped_column(Integer)
    cause: Mapped[str | None] = mapped_column(Uuid)
    depth: Mapped[int] = mapped_column(SmallInteger)
    attributes: Mapped[str | None] = mapped_column(Text)
    direct: Mapped[bool]

    __table_args__ = (
        Index(
            "events_source_key", "source", "key", unique=True,
            postgresql_where=expression.text("key IS NOT NULL"), sqlite_where=expression.text("key IS NOT NULL"),
        ),
        Index(
            "events_subject_position", "subject", "position",
            postgresql_where=expression.text("subject <> ''"), sqlite_where=expression.text("subject <> ''"),
        ),
        Index("events_route_position", "route", "position"),
        Index("events_type_position", "type", "position"),
        Index("events_time", "time"),
        Index(
            "events_cause", "cause",
            postgresql_where=expression.text("cause IS NOT NULL"), sqlite_where=expression.text("cause IS NOT NULL"),
        ),
    )  # fmt: skip


class ContextRow(AppendOnly, Model):
    """One finished attempt; see `application.ports.context_log.RecordedContext`."""

    __tablename__ = "task_contexts"

    position: Mapped[int] = mapped_column(Position, primary_key=True, autoincrement=False)
    event_position: Mapped[int] = mapped_column(Position)
    pipeline: Mapped[str] = mapped_column(Text)
    generation: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(Text)
    context: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[datetime] = mapped_column(UtcTime)
    emits: Mapped[bool]
    failure: Mapped[str | None] = mapped_column(Text)
    calls: Mapped[bool] = mapped_column(server_default=expression.false())

    __table_args__ = (
        # At most one completed context for each (event, pipeline, generation).
        Index(
            "task_contexts_completed", "event_position", "pipeline", "generation", unique=True,
            postgresql_where=expression.text("status = 'completed'"),
            sqlite_where=expression.text("status = 'completed'"),
        ),
        Index(
            "task_contexts_not_completed", "event_position",
            postgresql_where=expression.text("status <> 'completed'"),
            sqlite_where=expression.text("status <> 'completed'"),
        ),
        Index(
            "task_contexts_dead", "failure", "position",
            postgresql_where=expression.text("status = 'dead'"), sqlite_where=expression.text("status = 'dead'"),
        ),
        Index(
            "task_contexts_emits", "position",
            postgresql_where=expression.text("emits"), sqlite_where=expression.text("emits"),
        ),
        Index(
            "task_contexts_calls", "position",
            postgresql_where=expression.text("calls"), sqlite_where=expression.text("calls"),
        ),
    )  # fmt: skip


class HeadRow(Model):
    """The last position of each log, and its id. Its lock is what orders the commits."""

    __tablename__ = "heads"

    log: Mapped[str] = mapped_column(Text, primary_key=True)
    position: Mapped[int] = mapped_column(Position)
    log_id: Mapped[str] = mapped_column(Uuid)


class SubscriptionRow(Model):
    """The cursor of each subscription, and what operators decided about it.

    `route` is the pipeline whose events it has, `lane` which of the pipeline's `lanes`.
    Nothing is claimed while it is `paused`, nor while it is `held` by the dead letter at that position.
    """

    __tablename__ = "subscriptions"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    log: Mapped[str] = mapped_column(Text)
    cursor: Mapped[int] = mapped_column(Position)
    route: Mapped[str | None] = mapped_column(Text)
    lanes: Mapped[int] = mapped_column(SmallInteger, default=1)
    lane: Mapped[int] = mapped_column(SmallInteger, default=0)
    paused: Mapped[bool] = mapped_column(default=False)
    held: Mapped[int | None] = mapped_column(Position)


class ClaimRow(Model):
    """Work in progress. While `owner` holds it, `available_at` is the end of the lease, else when it comes due.

    `deadline` is the hard limit of the run.
    """

    __tablename__ = "claims"

    id: Mapped[int] = mapped_column(Position, primary_key=True, autoincrement=True)
    subscription: Mapped[str] = mapped_column(Text)
    first_position: Mapped[int] = mapped_column(Position)
    last_position: Mapped[int] = mapped_column(Position)
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    deaths: Mapped[int] = mapped_column(Integer, default=0)
    fence: Mapped[int] = mapped_column(Position, default=0)
    owner: Mapped[str | None] = mapped_column(Text)
    available_at: Mapped[datetime] = mapped_column(UtcTime)
    deadline: Mapped[datetime | None] = mapped_column(UtcTime)
    progress: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        UniqueConstraint("subscription", "first_position", name="claims_subscription_first_position"),
        Index("claims_due", "subscription", "available_at"),
        # Ids are never used again, so that an id and a fence name one taking for ever.
        {"sqlite_autoincrement": True},
    )


class ReplayRow(AppendOnly, Model):
    """A planned replay; its id is the generation it writes. Selection and fingerprints are JSON."""

    __tablename__ = "replays"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    selection: Mapped[str] = mapped_column(Text)
    fingerprints: Mapped[str] = mapped_column(Text)
    count: Mapped[int] = mapped_column(Position)
    created_at: Mapped[datetime] = mapped_column(UtcTime, server_default=func.now())

    __table_args__ = ({"sqlite_autoincrement": True},)


class PromotionRow(AppendOnly, Model):
    """From which generations results are read; see `application.ports.promotions.View`. `promoted` is JSON."""

    __tablename__ = "promotions"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    promoted: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    generation: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime] = mapped_column(UtcTime)


class ReplayDecisionRow(AppendOnly, Model):
    """What was decided about a replay; of each kind once. See `application.ports.replays.Replays.decide`."""

    __tablename__ = "replay_decisions"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    replay: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(Text)
    value: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (Index("replay_decisions_once", "replay", "kind", unique=True),)


class PipelineCodeRow(AppendOnly, Model):
    """What a fingerprint stands for; see `domain.fingerprints.PipelineCode`, which `code` holds as JSON."""

    __tablename__ = "pipeline_codes"

    fingerprint: Mapped[str] = mapped_column(Text, primary_key=True)
    pipeline: Mapped[str] = mapped_column(Text)
    code: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[datetime] = mapped_column(UtcTime)


class SealRow(AppendOnly, Model):
    """What a closed range of a log was; see `domain.seals.Seal`."""

    __tablename__ = "seals"

    log: Mapped[str] = mapped_column(Text, primary_key=True)
    first_position: Mapped[int] = mapped_column(Position, primary_key=True, autoincrement=False)
    last_position: Mapped[int] = mapped_column(Position)
    log_id: Mapped[str] = mapped_column(Uuid)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    previous: Mapped[bytes] = mapped_column(LargeBinary)
    chain: Mapped[bytes] = mapped_column(LargeBinary)
    recorded_at: Mapped[datetime] = mapped_column(UtcTime)
    digests: Mapped[bytes] = mapped_column(LargeBinary)


class RestoreRow(AppendOnly, Model):
    """A log got a new id; see `domain.seals.Restore`."""

    __tablename__ = "restores"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    log: Mapped[str] = mapped_column(Text)
    log_id: Mapped[str] = mapped_column(Uuid)
    previous_id: Mapped[str] = mapped_column(Uuid)
    position: Mapped[int] = mapped_column(Position)
    sealed: Mapped[int] = mapped_column(Position)
    recorded_at: Mapped[datetime] = mapped_column(UtcTime)


class ApiKeyRow(Model):
    """A key of the API; see `application.ports.api_keys.ApiKey`. Scopes stand with spaces between them."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    digest: Mapped[str] = mapped_column(Text)
    scopes: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcTime)


class AuditRow(AppendOnly, Model):
    """One thing that somebody did; see `application.ports.audit.AuditEntry`. The detail is JSON."""

    __tablename__ = "audit"

    position: Mapped[int] = mapped_column(Position, primary_key=True, autoincrement=False)
    recorded_at: Mapped[datetime] = mapped_column(UtcTime)
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    target: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)
