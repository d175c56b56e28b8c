"""The ledger of declared calls on SQL."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from application.ports.effect_ledger import EffectClaim, EffectLedger, Entry, NewEntry, Phase
from infrastructure.sql.effect_models import EffectStepRow, EndpointRow
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.models import ClaimRow

_STEPS: Table = EffectStepRow.__table__  # type: ignore[assignment]  # declarative types __table__ as FromClause
_PARAMETERS = 10_000
"""Positions that one statement names; databases have a limit."""
_LATER = _STEPS.alias("later")


class SqlEffectLedger(EffectLedger):
    """Keeps the steps in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = postgresql.insert if database.is_postgres else sqlite.insert

    def now(self) -> datetime:
        with self._database.reading() as connection:
            now: datetime = connection.execute(select(DatabaseNow())).scalar_one()
            return now

    def write(self, entry: NewEntry) -> bool:
        with self._database.writing() as connection:
            return self._write(connection, entry)

    def _write(self, connection: Connection, entry: NewEntry) -> bool:
        members = {field.name: getattr(entry, field.name) for field in fields(NewEntry)}
        values = members | {"detail": to_json(dict(entry.detail)).decode(), "recorded_at": DatabaseNow()}
        statement = self._insert(_STEPS).values(values).on_conflict_do_nothing().returning(_STEPS.c.position)
        return connection.execute(statement).one_or_none() is not None

    def of_effect(self, effect_id: str) -> list[Entry]:
        return self._read(_STEPS.c.effect_id == effect_id)

    def of_contexts(self, positions: Sequence[int]) -> list[Entry]:
        parts = (positions[begin : begin + _PARAMETERS] for begin in range(0, len(positions), _PARAMETERS))
        found = [entry for part in parts for entry in self._read(_STEPS.c.context_position.in_(part))]
        return sorted(found, key=lambda entry: entry.position)

    def _read(self, condition: ColumnElement[bool]) -> list[Entry]:
        with self._database.reading() as connection:
            found = connection.execute(select(_STEPS).where(condition).order_by(_STEPS.c.position))
            return [_entry(row) for row in found.mappings()]

    def last(self, phases: Sequence[Phase], *, limit: int) -> list[Entry]:
        statement = select(_STEPS).where(_is_last(phases)).order_by(_STEPS.c.position.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_entry(row) for row in connection.execute(statement).mappings()]

    def count_last(self, phases: Sequence[Phase]) -> int:
        with self._database.reading() as connection:
            return connection.scalar(select(func.count()).select_from(_STEPS).where(_is_last(phases))) or 0

    def claims(self, subscription: str) -> list[EffectClaim]:
        leased = and_(ClaimRow.owner.is_not(None), ClaimRow.available_at > DatabaseNow())
        statement = (
            select(ClaimRow.first_position, leased)
            .where(ClaimRow.subscription == subscription)
            .order_by(ClaimRow.first_position)
        )
        with self._database.reading() as connection:
            return [EffectClaim(context_position=row[0], leased=bool(row[1])) for row in connection.execute(statement)]

    def reopen(self, entry: NewEntry, *, subscription: str) -> bool:
        position = entry.context_position
        claim = self._insert(ClaimRow).values(
            subscription=subscription, first_position=position, last_position=position, available_at=DatabaseNow()
        )
        # The claim's row is locked first: who would take or end it waits until the step is there.
        claim = claim.on_conflict_do_update(
            index_elements=["subscription", "first_position"],
            set_={"available_at": DatabaseNow()},
            where=or_(ClaimRow.owner.is_(None), ClaimRow.available_at <= DatabaseNow()),
        )
        with self._database.writing() as connection:
            if connection.execute(claim.returning(ClaimRow.id)).one_or_none() is None:
                return False
            self._write(connection, entry)
            return True

    def is_disabled(self, url: str) -> bool:
        with self._database.reading() as connection:
            return _is_disabled(connection, url)

    def switch(self, url: str, *, enabled: bool, reason: str) -> bool:
        with self._database.writing() as connection:
            if enabled is not _is_disabled(connection, url):
                return False
            values = {"url": url, "enabled": enabled, "reason": reason, "recorded_at": DatabaseNow()}
            connection.execute(insert(EndpointRow).values(values))
            return True


def _is_disabled(connection: Connection, url: str) -> bool:
    last = select(EndpointRow.enabled).where(EndpointRow.url == url).order_by(EndpointRow.position.desc()).limit(1)
    return connection.scalar(last) is False


def _is_last(phases: Sequence[Phase]) -> ColumnElement[bool]:
    # Written into the statement, so that the partial index of what is dead is found.
    named: BindParameter[list[Phase]] = bindparam(None, list(phases), expanding=True, literal_execute=True)
    later = exists().where(_LATER.c.effect_id == _STEPS.c.effect_id, _LATER.c.position > _STEPS.c.position)
    return and_(_STEPS.c.phase.in_(named), ~later)


def _entry(row: Any) -> Entry:
    return Entry(**{**row, "detail": from_json(row["detail"])})
