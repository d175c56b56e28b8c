"""The tables of declared calls, as SQLAlchemy models."""

from datetime import datetime

from sqlalchemy import Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql import expression

from infrastructure.sql.models import AppendOnly, Model, Position, UtcTime, Uuid


class EffectStepRow(AppendOnly, Model):
    """One step of one attempt of a declared call; see `application.ports.effect_ledger.NewEntry`."""

    __tablename__ = "effect_ledger"

    position: Mapped[int] = mapped_column(Position, primary_key=True, autoincrement=True)
    effect_id: Mapped[str] = mapped_column(Uuid)
    context_position: Mapped[int] = mapped_column(Position)
    event_id: Mapped[str] = mapped_column(Uuid)
    kind: Mapped[str] = mapped_column(Text)
    target: Mapped[str] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(Integer)
    phase: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (
        # An attempt has at most one intent, one outcome, and one word of an operator after it.
        *(
            Index(
                f"effect_ledger_{name}", "effect_id", "attempt", unique=True,
                postgresql_where=expression.text(where), sqlite_where=expression.text(where),
            )
            for name, where in (
                ("intent", "phase = 'intent'"),
                ("outcome", "phase IN ('done', 'failed', 'gave_up', 'disabled')"),
                ("retry", "phase = 'retry'"),
            )
        ),
        Index("effect_ledger_effect", "effect_id", "position"),
        Index("effect_ledger_context", "context_position"),
        Index(
            "effect_ledger_dead", "position",
            postgresql_where=expression.text("phase IN ('gave_up', 'disabled')"),
            sqlite_where=expression.text("phase IN ('gave_up', 'disabled')"),
        ),
        {"sqlite_autoincrement": True},
    )  # fmt: skip


class EndpointRow(AppendOnly, Model):
    """A word about a URL: from now on calls to it are sent, or not. The last one holds."""

    __tablename__ = "endpoints"

    position: Mapped[int] = mapped_column(Position, primary_key=True, autoincrement=True)
    url: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool]
    reason: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (Index("endpoints_url", "url", "position"), {"sqlite_autoincrement": True})
