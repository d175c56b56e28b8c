"""The input: the month of flights, and as many more like it as a measurement needs, no event twice."""

import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from domain.events import NewEvent, parse_time
from infrastructure.ids import new_id

MONTH = Path(__file__).resolve().parents[2] / "examples/flights/data/flights-2013-01.ndjson.gz"
FLIGHTS = 27_004
FOLLOW_UPS = 626
"""The events that a month's flights ask for."""
PIPELINES = ("flights", "very_late")
BATCH = 500
NDJSON = "application/x-ndjson"
CLOUDEVENTS = "application/cloudevents-batch+json"


@cache
def month() -> tuple[bytes, ...]:
    """The month's events, each as it is sent."""
    return tuple(gzip.decompress(MONTH.read_bytes()).splitlines())


def events(months: int = 1) -> Iterator[bytes]:
    """The month again and again, each time 31 days later."""
    yield from month()
    for later in range(1, months):
        for line in month():
            yield _shifted(line, later)


def _shifted(line: bytes, months: int) -> bytes:
    # The one text of the envelope that differs from month to month, without a parse of each of a million lines.
    before, marker, rest = line.partition(b'"time": "')
    moved = parse_time(rest[:20].decode()) + timedelta(days=31 * months)
    return before + marker + moved.strftime("%Y-%m-%dT%H:%M:%SZ").encode() + rest[20:]


def ndjson(months: int = 1, batch: int = BATCH) -> list[bytes]:
    """The events as bodies of NDJSON."""
    return [b"\n".join(lines) for lines in _batches(list(events(months)), batch)]


def cloudevents(months: int = 1, batch: int = BATCH) -> list[bytes]:
    """The events as CloudEvents, whose ids are keys, in batches."""
    lines = [
        b'{"specversion": "1.0", "id": "%d", %b' % (number, line[1:]) for number, line in enumerate(events(months), 1)
    ]
    return [b"[%b]" % b",".join(some) for some in _batches(lines, batch)]


def new_events(months: int = 1) -> Iterator[list[NewEvent]]:
    """The events as they are handed to the log, by batches."""
    remaining = events(months)
    while lines := list(islice(remaining, BATCH)):
        yield [_new(json.loads(line)) for line in lines]


def _new(sent: dict[str, Any]) -> NewEvent:
    return NewEvent(
        id=new_id(),
        type=sent["type"],
        source=sent["source"],
        subject=sent["subject"],
        time=parse_time(sent["time"]),
        data=json.dumps(sent["data"], separators=(",", ":")),
        route="flights",
    )


def _batches(lines: list[bytes], size: int) -> list[list[bytes]]:
    return [lines[begin : begin + size] for begin in range(0, len(lines), size)]
