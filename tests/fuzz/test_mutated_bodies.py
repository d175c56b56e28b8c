"""Bodies that nobody would write: mutated at random, by seed, and handed to the application as bytes."""

import asyncio
import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

from domain.strict_json import decode
from tests.integration.http import Http, cloud, event, flight, served

SEED = int(os.environ.get("FUZZ_SEED", "1"))
COUNT = int(os.environ.get("FUZZ_BODIES", "100000"))
_DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
_TYPES = {
    "/events": ["application/json", "application/cloudevents+json", "application/json; charset=utf-8", "text/plain"],
    "/events/batch": ["application/json", "application/x-ndjson", "application/cloudevents-batch+json"],
    "/search": ["application/json"],
    "/dead-letters/requeue": ["application/json"],
    "/dead-letters/discard": ["application/json"],
}
_NASTY = [
    b"NaN",
    b"-Infinity",
    b"1e400",
    b"-0",
    b"1" * 500,
    b"9007199254740993",
    b"\\ud800",
    b"\\u0000",
    b"\xff",
    b"\xc0\x80",
    b"\x00",
    b"\xef\xbb\xbf",
    b"[" * 70,
    b"]" * 70,
    b'{"a":1,"a":2}',
    b"null",
    b"true",
    b'""',
    b"{}",
    b"[]",
    b",",
    b":",
    b"\r\n",
    b"\n",
    b'"type"',
    b'"data"',
    b'"expected_version":-1',
    b'"not_before":"9999-12-31T23:59:59Z"',
    b"'; DROP TABLE events; --",
    "\u202e\u2028".encode(),
    b"\x1b[31m",
    b"%s%n",
    b"../../",
    b"{{7*7}}",
    b"0x10",
    b"1_000",
    b".5",
    b"+1",
    b"//",
    b"/*",
]


def corpus() -> list[tuple[str, bytes]]:
    """Good bodies, each with the path that it is for."""
    plain = [
        event(),
        event(subject="S", expected_version=0),
        event(not_before="2030-01-01T00:00:00Z", time="2013-01-01T10:00:00Z"),
        {"type": "nobody.knows", "data": []},
    ]
    clouds = [cloud(), cloud(id="b-2", subject="S", time="2013-01-01T10:00:00Z", traceparent="x"), cloud(data=flight())]
    lines = b"\n".join(json.dumps(each).encode() for each in plain)
    search = {
        "q": "carrier:UA AND NOT status:late",
        "filters": {"origin": ["EWR", "JFK"], "arr_delay": {"gte": 1}},
        "sort": "-arr_delay",
        "size": 3,
        "aggs": {"by": {"kind": "terms", "field": "carrier", "stats": "arr_delay"}},
    }
    chosen = [
        {"ids": ["01900000-0000-7000-8000-000000000000"]},
        {"filter": {"pipeline": "flights"}, "count": 0, "reason": "x"},
    ]
    return [
        *(("/events", json.dumps(each).encode()) for each in [*plain, *clouds]),
        ("/events/batch", json.dumps(plain).encode()),
        ("/events/batch", json.dumps(clouds).encode()),
        ("/events/batch", lines),
        ("/search", json.dumps(search).encode()),
        *(
            (path, json.dumps(each).encode())
            for each in chosen
            for path in ("/dead-letters/requeue", "/dead-letters/discard")
        ),
    ]


def mutated(body: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """The body after one to four changes: bytes flipped, cut, doubled, swapped, nasty tokens, parts of other bodies."""
    text = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        at, end = sorted((chance.randint(0, len(text)), chance.randint(0, len(text))))
        kind = chance.randrange(7)
        if kind == 0 and text:
            text[chance.randrange(len(text))] = chance.randrange(256)
        elif kind == 1:
            del text[at : at + chance.randint(1, 40)]
        elif kind == 2:
            text[at:at] = chance.choice(_NASTY)
        elif kind == 3:
            text[at : min(end, at + 12)] = chance.choice(_NASTY)
        elif kind == 4:
            text[at:at] = text[at : min(end, at + 200)]
        elif kind == 5:
            other = chance.choice(others)
            begin = chance.randint(0, len(other))
            text[at:at] = other[begin : begin + chance.randint(1, 60)]
        else:
            del text[end:]
    return bytes(text[:20_000])


async def answer(http: Http, path: str, body: bytes, content_type: str) -> tuple[int, bytes, str]:
    """The status, body and content type that the application answers to raw bytes, without a client between."""
    sent: list[dict[str, Any]] = []
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "headers": [
            (b"host", b"test"),
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
        ],
    }
    await http.app(scope, receive, send)  # type: ignore[arg-type]  # plain dictionaries
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], content, headers.get("content-type", "")


def test_no_body_is_answered_by_an_error_of_ours_or_otherwise_than_documented(sqlite_url: str, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    good = corpus()
    bodies = [body for _, body in good]
    statuses: Counter[tuple[str, int]] = Counter()

    async def fuzz(http: Http) -> None:
        for _ in range(COUNT // 8):
            batch = []
            for _ in range(8):
                path, body = chance.choice(good)
                batch.append((path, mutated(body, bodies, chance), chance.choice(_TYPES[path])))
            answers = await asyncio.gather(*(answer(http, *each) for each in batch))
            for (path, body, _), (status, content, media_type) in zip(batch, answers, strict=True):
                statuses[path, status] += 1
                documented = _DOCUMENT["paths"][path]["post"]["responses"]
                assert str(status) in documented, (status, path, body)
                assert status < 500, (status, path, body)
                if status >= 400 and path != "/events/batch":
                    assert media_type == "application/problem+json", (path, body)
                assert b"Traceback" not in content

    with served(sqlite_url, tmp_path) as http:
        asyncio.run(fuzz(http))
        kept_exactly(http)

    assert len({status for _, status in statuses}) >= 6, statuses
    assert sum(count for (_, status), count in statuses.items() if status in {200, 202, 207}) > COUNT // 100


def kept_exactly(http: Http) -> None:
    """What was taken is strict JSON, of a known type, and reads back to the letter."""
    listed = http.get("/events?limit=1000").json()["events"]
    assert listed
    for each in listed:
        text = http.get(f"/events/{each['id']}").text
        assert decode(text)["id"] == each["id"]
