"""Planned replays on SQL."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json
from sqlalchemy import insert, select
from sqlalchemy.dialects import postgresql, sqlite

from application.ports.replays import DecisionKind, Replay, Replays
from application.subscription import Selection
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.models import ReplayDecisionRow, ReplayRow

_SELECTION = TypeAdapter(Selection)


class SqlReplays(Replays):
    """Keeps the plans of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = postgresql.insert if database.is_postgres else sqlite.insert

    def create(self, selection: Selection, fingerprints: Mapping[str, str], count: int) -> Replay:
        values = {
            "selection": to_json(asdict(selection)).decode(),
            "fingerprints": to_json(dict(fingerprints)).decode(),
            "count": count,
            "created_at": DatabaseNow(),
        }
        with self._database.writing() as connection:
            statement = insert(ReplayRow).values(values).returning(ReplayRow.__table__)
            return _replay(connection.execute(statement).one())

    def get(self, replay_id: int) -> Replay | None:
        with self._database.reading() as connection:
            row = connection.execute(select(ReplayRow.__table__).where(ReplayRow.id == replay_id)).one_or_none()
        return _replay(row) if row else None

    def list(self) -> list[Replay]:
        with self._database.reading() as connection:
            return [
                _replay(row) for row in connection.execute(select(ReplayRow.__table__).order_by(ReplayRow.id.desc()))
            ]

    def decide(self, replay_id: int, kind: DecisionKind, value: str) -> str:
        row = {"replay": replay_id, "kind": kind, "value": value, "recorded_at": DatabaseNow()}
        with self._database.writing() as connection:
            connection.execute(self._insert(ReplayDecisionRow).values(row).on_conflict_do_nothing())
        return self.decided(replay_id)[kind]

    def decided(self, replay_id: int) -> Mapping[DecisionKind, str]:
        rows = select(ReplayDecisionRow.kind, ReplayDecisionRow.value).where(ReplayDecisionRow.replay == replay_id)
        with self._database.reading() as connection:
            return {row.kind: row.value for row in connection.execute(rows)}


def _replay(row: Any) -> Replay:
    return Replay(
        id=row.id,
        selection=_SELECTION.validate_json(row.selection),
        fingerprints=from_json(row.fingerprints),
        count=row.count,
        created_at=row.created_at,
    )
