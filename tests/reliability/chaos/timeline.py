"""Timeline: everything that the stores and histories know of one event, by time."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from tests.reliability.chaos.checks import Invariant
from tests.reliability.chaos.facts import Facts
from tests.reliability.chaos.history import lines_of

_NAME = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f-]{17}|(?:p\d+|probe)-\d+(?:/\d+)?")
_STORED = {
    "event": "SELECT recorded_at, 'event ' || position || ', ' || type || ', ' || subject AS told "
    "FROM events WHERE position = :position",
    "context": "SELECT recorded_at, 'context ' || position || ', ' || pipeline || ', ' || status AS told "
    "FROM task_contexts WHERE event_position = :position",
    "effect": "SELECT recorded_at, phase || ' of attempt ' || attempt AS told FROM effect_ledger "
    "WHERE CAST(event_id AS text) = :id",
}


def first_violation(invariants: Sequence[Invariant], facts: Facts, engine: Engine, folder: Path) -> dict[str, Any]:
    """The first exception, and the timeline of the event that it names; empty where there is none."""
    for invariant in invariants:
        for told in invariant.exceptions:
            name = _NAME.search(told)
            lines = [] if name is None else timeline_of(name[0], facts, engine, folder)
            return {"invariant": invariant.name, "told": told, "timeline": lines}
    return {}


def timeline_of(name: str, facts: Facts, engine: Engine, folder: Path) -> list[tuple[str, str, str]]:
    """When, whose word, and what it says; `name` is an event's id or key."""
    event = next((event for event in facts.events if name in {event.id, event.key}), None)
    key = event.key if event is not None else name
    lines = [] if key is None else _requests(key, folder)
    if event is not None:
        lines += _stored(event, engine)
        lines += [(call["came"], "receiver", f"call {call['id']}") for call in facts.calls if call["nonce"] == key]
    told = sorted(lines, key=lambda line: line[0])
    return [(datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"), who, what) for at, who, what in told]


def _requests(key: str, folder: Path) -> list[tuple[float, str, str]]:
    base = key.partition("/")[0]
    found = []
    for line in lines_of(*sorted(folder.glob("requests-*.jsonl"))):
        if line["key"] == base:
            said = {name: line[name] for name in ("kind", "attempt", "status", "error", "ms") if name in line}
            found.append((line["at"], "producer", f"{line['what']} {said}"))
    return found


def _stored(event: Any, engine: Engine) -> list[tuple[float, str, str]]:
    found = []
    with engine.connect() as connection:
        for who, query in _STORED.items():
            bound = {"position": event.position} if ":position" in query else {"id": event.id}
            for row in connection.execute(text(query), bound):
                at = row.recorded_at
                at = datetime.fromisoformat(at) if isinstance(at, str) else at
                found.append((at.timestamp(), who, row.told))
    return found
