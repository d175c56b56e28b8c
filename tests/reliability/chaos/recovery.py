"""Recovery: what a fault left undone, and when it was made good, read from the store past everything of ours."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Connection, Engine, bindparam, text
from sqlalchemy.exc import SQLAlchemyError

Found = TypeVar("Found")
Condition = Callable[[Connection], bool]
PLAIN = ("readings", "notes")
"""Pipelines whose cursors say whether new events are taken on."""


@dataclass
class Recovered:
    """What was to be made good since `began`, and when it was; `ended` None: never. `left` names it."""

    kind: str
    began: float
    ended: float | None = None
    left: str = ""


@dataclass
class _Due:
    record: Recovered
    condition: Condition


@dataclass
class Watch:
    """Looks ten times a second whether what faults left behind has been made good."""

    engine: Engine
    records: list[Recovered] = field(default_factory=list)
    _due: list[_Due] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        threading.Thread(target=self._run, name="recovery", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def claims_taken_over(self, kind: str, owners: Sequence[int], began: float) -> int:
        """Expect every claim that processes with these ids hold to be taken by others; how many there are."""
        found = self._ask(lambda connection: _held_by(connection, owners)) or {}
        held = list(found)
        if held:
            left = ", ".join(found.values())
            self._expect(kind, began, left, lambda connection: not (set(_taken(connection, held)) & set(held)))
        return len(held)

    def events_taken_on(self, kind: str, began: float) -> None:
        """Expect the cursors of the plain pipelines to pass every event that there is now."""
        last = self._ask(_last_by_route)
        if last:
            self._expect(kind, began, f"{last}", lambda connection: _cursors_passed(connection, last))

    def results_indexed(self, kind: str, began: float) -> None:
        """Expect every context that there is now to be indexed."""
        head = self._ask(_last_completed)
        if head:
            self._expect(kind, began, f"to {head}", lambda connection: _is_indexed(connection, head))

    def _expect(self, kind: str, began: float, left: str, condition: Condition) -> None:
        record = Recovered(kind, began, left=left)
        self.records.append(record)
        self._due.append(_Due(record, condition))

    def _ask(self, question: Callable[[Connection], Found]) -> Found | None:
        for _ in range(100):  # the database may be away just now
            with suppress(SQLAlchemyError), self.engine.connect() as connection:
                return question(connection)
            time.sleep(0.1)
        return None

    def _run(self) -> None:
        while not self._stopping.wait(0.1):
            for due in list(self._due):
                with suppress(SQLAlchemyError), self.engine.connect() as connection:
                    if due.condition(connection):
                        due.record.ended = time.time()
                        self._due.remove(due)


def _held_by(connection: Connection, owners: Sequence[int]) -> dict[tuple[int, int], str]:
    rows = connection.execute(text("SELECT * FROM claims WHERE owner IS NOT NULL")).all()
    return {
        (row.id, row.fence): f"{row.subscription} {row.first_position}-{row.last_position}"
        for row in rows
        if int(row.owner.rpartition("-")[2]) in owners
    }


def _taken(connection: Connection, held: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    query = text("SELECT id, fence FROM claims WHERE id IN :ids").bindparams(bindparam("ids", expanding=True))
    return [(row.id, row.fence) for row in connection.execute(query, {"ids": [claim for claim, _ in held]})]


def _last_by_route(connection: Connection) -> dict[str, int]:
    query = text("SELECT max(position) FROM events WHERE route = :route AND NOT direct")
    found = {route: connection.execute(query, {"route": route}).scalar_one() for route in PLAIN}
    return {route: position for route, position in found.items() if position is not None}


def _cursors_passed(connection: Connection, last: dict[str, int]) -> bool:
    query = text("SELECT cursor FROM subscriptions WHERE name = :name")
    return all(
        (connection.execute(query, {"name": route}).scalar() or 0) >= position for route, position in last.items()
    )


def _last_completed(connection: Connection) -> int | None:
    query = text("SELECT max(position) FROM task_contexts WHERE status = 'completed' AND generation = 0")
    return connection.execute(query).scalar()


def _is_indexed(connection: Connection, head: int) -> bool:
    cursor = connection.execute(text("SELECT cursor FROM subscriptions WHERE name = 'index'")).scalar() or 0
    claimed = text("SELECT count(*) FROM claims WHERE subscription = 'index' AND first_position <= :head")
    return bool(cursor >= head and not connection.execute(claimed, {"head": head}).scalar_one())
