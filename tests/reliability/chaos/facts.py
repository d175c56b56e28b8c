"""Facts: what was sent, answered, stored, heard and indexed in a run, gathered for the checks."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from tests.reliability.chaos.history import lines_of
from tests.reliability.chaos.load import SOURCE
from tests.reliability.chaos.readers import LOGS, Reader, digest, rows_after

REFUSED, OVERLOADED, UNAVAILABLE = 422, 429, 503


@dataclass
class Sent:
    """One event that a producer sent, and every word that it got about it."""

    key: str
    type: str
    subject: str
    data: str
    ids: set[str] = field(default_factory=set)
    refused: bool = False
    overloaded: bool = False
    unknown: bool = False

    @property
    def outcome(self) -> str:
        """What stands in the end. A 503 does not say whether it was stored: it is as no answer."""
        if self.ids:
            return "answered"
        if self.unknown:
            return "unknown"
        return "refused" if self.refused or self.overloaded else "never sent"


@dataclass(kw_only=True)
class Facts:
    """Everything that the checks look at."""

    sent: Mapping[str, Sent]
    wrongly_taken: Sequence[str]
    events: Sequence[Any]
    contexts: Sequence[Any]
    heads: Mapping[str, int]
    reasons: Mapping[int, str | None]
    claims: Sequence[str]
    behind: Sequence[str]
    calls: Sequence[Mapping[str, Any]]
    effects: Mapping[str, str]
    indexed: Mapping[str, int]
    readers: Sequence[Reader]
    causes: Mapping[str, Sequence[str]]
    ticks: Sequence[str]
    last_tick_due: str
    ended: Mapping[str, tuple[int | None, float]]
    answering: Mapping[str, bool]
    clean: Mapping[str, str]
    problems: Sequence[str]
    digests: Mapping[str, Sequence[str]]

    @property
    def ours(self) -> list[Any]:
        """The events that producers sent."""
        return [event for event in self.events if event.source == SOURCE]


def sent_of(paths: Iterable[Path]) -> tuple[dict[str, Sent], list[str]]:
    """What the histories of the producers say; and the events that were taken under a key of another."""
    found: dict[str, Sent] = {}
    names: dict[str, list[str]] = {}
    wrong: list[str] = []
    for line in lines_of(*sorted(paths)):
        key = line["key"]
        if line["what"] == "asked":
            if line["kind"] == "new" and line["attempt"] == 1:
                items = line["items"]
                names[key] = [key] if len(items) == 1 else [f"{key}/{index}" for index in range(len(items))]
                for name, (type_, subject, data) in zip(names[key], items, strict=True):
                    found[name] = Sent(name, type_, subject, data)
        elif line["what"] == "unknown":
            for name in names[key] if line["kind"] != "other body" else ():
                found[name].unknown = True
        else:
            for name, status, event_id in zip(names[key], line["statuses"], line["ids"], strict=True):
                _hear(found[name], line["kind"], status, event_id, wrong)
    return found, wrong


def _hear(sent: Sent, kind: str, status: int, event_id: str | None, wrong: list[str]) -> None:
    if kind == "other body":
        if status in {200, 202}:
            wrong.append(f"{sent.key}: an other body was answered {status}")
    elif status in {200, 202}:
        sent.ids.add(str(event_id))
    elif status == REFUSED:
        sent.refused = True
    elif status == OVERLOADED:
        sent.overloaded = True
    elif status == UNAVAILABLE:
        sent.unknown = True
    else:
        wrong.append(f"{sent.key}: answered {status}")


def log_of(engine: Engine, log: str) -> list[Any]:
    """A whole log."""
    rows: list[Any] = []
    while page := rows_after(engine, log, rows[-1].position if rows else 0):
        rows += page
    return rows


def digests_of(engine: Engine) -> dict[str, list[str]]:
    return {log: [digest(row) for row in log_of(engine, log)] for log in LOGS}


def reasons_of(engine: Engine) -> dict[int, str | None]:
    """Why each dead context is dead, by its position."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT position, context FROM task_contexts WHERE status = 'dead'")).all()
    return {row.position: _reason(json.loads(row.context)) for row in rows}


def _reason(context: Mapping[str, Any]) -> str | None:
    failure = context["run"]["failure"]
    return failure and f"{failure['type']}: {failure['message']}"


def causes_of(engine: Engine) -> dict[str, list[str]]:
    """The ids of the events that each event caused."""
    found = defaultdict(list)
    with engine.connect() as connection:
        for row in connection.execute(
            text("SELECT CAST(id AS text) AS id, CAST(cause AS text) AS cause FROM events WHERE cause IS NOT NULL")
        ):
            found[row.cause].append(row.id)
    return found


def claims_of(engine: Engine) -> list[str]:
    """The claims that are left."""
    query = "SELECT subscription, first_position, last_position, owner, attempt, deaths FROM claims ORDER BY 1, 2"
    with engine.connect() as connection:
        return [
            f"{row.subscription} {row.first_position}-{row.last_position} of {row.owner}, "
            f"attempt {row.attempt}, deaths {row.deaths}"
            for row in connection.execute(text(query))
        ]


def behind_of(engine: Engine) -> list[str]:
    """The pipelines with an event that their cursor has not passed."""
    query = text(
        "SELECT s.name, s.cursor, max(e.position) AS last FROM subscriptions s JOIN events e ON e.route = s.route "
        "WHERE s.log = 'events' AND NOT e.direct AND (s.lanes < 2 OR e.lane % s.lanes = s.lane) GROUP BY 1, 2"
    )
    with engine.connect() as connection:
        return [f"{row.name}: {row.cursor} of {row.last}" for row in connection.execute(query) if row.cursor < row.last]


def effects_of(engine: Engine) -> dict[str, str]:
    """The last step of each effect, where done goes before all others."""
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT CAST(effect_id AS text) AS effect_id, phase FROM effect_ledger ORDER BY position")
        ).all()
    done = {row.effect_id for row in rows if row.phase == "done"}
    return {row.effect_id: "done" if row.effect_id in done else row.phase for row in rows}


def ticks_of(engine: Engine) -> list[str]:
    """The slots of the schedule that were sent."""
    query = "SELECT key FROM events WHERE source = 'playhead:schedule:minute' ORDER BY position"
    with engine.connect() as connection:
        return [str(row.key) for row in connection.execute(text(query))]
