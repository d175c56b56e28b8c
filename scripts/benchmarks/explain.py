"""How long `explain` takes among 1,000,000 stored events; see docs/performance.md."""

import json
import random
import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import psycopg
from msgspec.structs import asdict
from sqlalchemy import make_url

from application.ports.context_log import RecordedContext
from domain.events import NewEvent, RecordedEvent, derived_id
from infrastructure.ids import new_id
from scripts.benchmarks import flights
from scripts.benchmarks.stores import opened

LOOKS = 200
_WIDE = 250
"""Events that one event caused: more than are told of."""
_EVENT_COLUMNS = [*RecordedEvent.__struct_fields__, "direct"]
_CONTEXT_COLUMNS = RecordedContext.__struct_fields__


def measure_explain(databases: list[str], events: int) -> None:
    for database in databases:
        with ExitStack() as stack:
            container = _filled(database, events, stack)
            chosen = random.Random(7)
            kinds = {
                "any": [chosen.randint(1, events) for _ in range(LOOKS)],
                "root of 250 events": [_ROOT] * 20,
                "16 steps deep": [_DEEP + 16] * 20,
            }
            for kind, positions in kinds.items():
                ids = [_id(position) for position in positions]
                container.biography(ids[0])
                taken = []
                for event_id in ids:
                    began = time.perf_counter()
                    told = container.biography(event_id).json
                    taken.append(1000 * (time.perf_counter() - began))
                    assert json.loads(told)["event"]["id"] == event_id
                told = f"{statistics.median(taken):.1f} median, {sorted(taken)[int(len(taken) * 0.95)]:.1f} p95"
                print(f"{database:9} {events:,} events, {kind}: {told}, {max(taken):.1f} ms at most")


_ROOT, _DEEP = 1000, 2000


def _filled(database: str, events: int, stack: ExitStack) -> Any:
    """The stores with so many flights and as many contexts, written past the service."""
    container = opened(database, stack)
    store = container.store()
    began = time.perf_counter()
    sent = json.loads(flights.month()[0])
    data = json.dumps(sent["data"], separators=(",", ":"))
    new = NewEvent(id=new_id(), type=sent["type"], source="nyc", subject=sent["subject"], data=data, route="flights")
    store.events.append([new])
    container.engine().turn("flights", seconds=60)
    event, [context] = store.events.get(new.id), store.contexts.of_event(1)
    write = _fill_postgres if database == "postgres" else _fill_sqlite
    write(store.database.url.render_as_string(hide_password=False), event, context, events)
    print(f"{database:9} filled in {time.perf_counter() - began:.0f} s")
    return container


def _events(event: RecordedEvent, events: int) -> Iterator[list[Any]]:
    known = asdict(event)
    for position in range(2, events + 1):
        cause, depth = None, 0
        if _ROOT < position <= _ROOT + _WIDE:
            cause, depth = _id(_ROOT), 1
        elif _DEEP < position <= _DEEP + 16:
            cause, depth = _id(position - 1), position - _DEEP
        elif position % 10 == 0 and position > 10_000:
            cause, depth = _id(position - 1), 1
        row = known | {"position": position, "id": _id(position), "cause": cause, "depth": depth, "attributes": None}
        row |= {"subject": f"flight-{position % 50_000}", "direct": False}
        yield [row[name] for name in _EVENT_COLUMNS]


def _contexts(context: RecordedContext, event_id: str, events: int) -> Iterator[list[Any]]:
    known = asdict(context)
    for position in range(2, events + 1):
        text = context.context.replace(event_id, _id(position))
        row = known | {"position": position, "event_position": position, "context": text}
        yield [row[name] for name in _CONTEXT_COLUMNS]


def _id(position: int) -> str:
    return derived_id("01900000-0000-7000-8000-000000000000", position)


def _fill_postgres(url: str, event: RecordedEvent, context: RecordedContext, events: int) -> None:
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
        for table, columns, rows in _tables(event, context, events):
            with connection.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        for statement in _heads(events):
            connection.execute(statement)
        connection.execute("ANALYZE")


def _fill_sqlite(url: str, event: RecordedEvent, context: RecordedContext, events: int) -> None:
    from infrastructure.sql.models import utc_text  # noqa: PLC0415

    def written(row: list[Any]) -> list[Any]:
        return [utc_text(value) if hasattr(value, "isoformat") else value for value in row]

    with closing(sqlite3.connect(str(make_url(url).database), isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for table, columns, rows in _tables(event, context, events):
            marks = ", ".join("?" * len(columns))
            connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", map(written, rows))
        for statement in _heads(events):
            connection.execute(statement)
        connection.execute("COMMIT")


def _tables(
    event: RecordedEvent, context: RecordedContext, events: int
) -> list[tuple[str, list[str], Iterator[list[Any]]]]:
    return [
        ("events", _EVENT_COLUMNS, _events(event, events)),
        ("task_contexts", _CONTEXT_COLUMNS, _contexts(context, event.id, events)),
    ]


def _heads(events: int) -> list[str]:
    return [f"UPDATE heads SET position = {events}", f"UPDATE subscriptions SET cursor = {events}"]
