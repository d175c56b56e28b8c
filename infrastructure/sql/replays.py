"""Planned replays on SQL."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json
from sqlalchemy import insert, select

from application.ports.replays import Replay, Replays
from application.subscription import Selection
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.models import ReplayRow

_SELECTION = TypeAdapter(Selection)


class SqlReplays(Replays):
    """Keeps the plans of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

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


def _replay(row: Any) -> Replay:
    return Replay(
        id=row.id,
        selection=_SELECTION.validate_json(row.selection),
        fingerprints=from_json(row.fingerprints),
        count=row.count,
        created_at=row.created_at,
    )
