"""Promotions on SQL: an append-only table whose last row holds."""

from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from application.ports.promotions import Promotions, View
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.models import PromotionRow

_TABLE = PromotionRow.__table__


class SqlPromotions(Promotions):
    """Keeps the views of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self) -> View:
        with self._database.reading() as connection:
            return current_view(connection)

    def append(self, view: View) -> View | None:
        values = {
            "id": view.id,
            "promoted": to_json(view.promoted).decode(),
            "action": view.action,
            "generation": view.generation,
            "at": DatabaseNow(),
        }
        try:
            with self._database.writing() as connection:
                if current_view(connection).id + 1 != view.id:
                    return None
                return _view(connection.execute(insert(PromotionRow).values(values).returning(_TABLE)).one())
        except IntegrityError:
            return None  # another was quicker

    def list(self) -> Sequence[View]:
        with self._database.reading() as connection:
            return [_view(row) for row in connection.execute(select(_TABLE).order_by(PromotionRow.id.desc()))]


def current_view(connection: Connection) -> View:
    """The view that holds, as a transaction sees it."""
    row = connection.execute(select(_TABLE).order_by(PromotionRow.id.desc()).limit(1)).one_or_none()
    return View() if row is None else _view(row)


def _view(row: Any) -> View:
    return View(
        id=row.id, promoted=tuple(from_json(row.promoted)), action=row.action, generation=row.generation, at=row.at
    )
