"""HTTP: the application on a database of the test's own, and a client whose answers are held against the document."""

import asyncio
import json
import re
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
from dependency_injector import providers
from fastapi import FastAPI

from infrastructure.container import Container
from infrastructure.service import Service
from infrastructure.settings import load
from interfaces.http.app import create_app

ROOT = Path(__file__).parents[2]
JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}
STRUCTURED = {"content-type": "application/cloudevents+json"}
CLOUDEVENTS = {"content-type": "application/cloudevents-batch+json"}
_DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text())
_PATHS = [(re.compile(re.sub(r"{\w+}", "[^/]+", path)), operations) for path, operations in _DOCUMENT["paths"].items()]

Answer = TypeVar("Answer")


def flight(**changes: Any) -> dict[str, Any]:
    """The data of a flight that was on time."""
    return {
        "year": 2013, "month": 1, "day": 1, "dep_time": 517, "sched_dep_time": 515, "dep_delay": 2.0,
        "arr_time": 830, "sched_arr_time": 819, "arr_delay": 11.0, "carrier": "UA", "flight": 1545,
        "tailnum": "N14228", "origin": "EWR", "dest": "IAH", "air_time": 227.0, "distance": 1400.0,
        "hour": 5, "minute": 15,
        **changes,
    }  # fmt: skip


def event(**changes: Any) -> dict[str, Any]:
    """A flight in the plain form."""
    return {"type": "flight.recorded", "data": flight(), **changes}


def text(**changes: Any) -> str:
    """The JSON text of `event`."""
    return json.dumps(event(**changes))


def cloud(**changes: Any) -> dict[str, Any]:
    """A flight as a CloudEvent."""
    return {"specversion": "1.0", "id": "a-1", "source": "nyc", **event(**changes)}


@dataclass(kw_only=True)
class Http:
    """A client of one application, and the container behind it."""

    app: FastAPI
    container: Container
    seen: list[httpx.Response] = field(default_factory=list)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(
        self, body: str | bytes | Any, headers: Mapping[str, str] = JSON, *, path: str = "/events"
    ) -> httpx.Response:
        """Post a body: text and bytes as they are, anything else as JSON."""
        content = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.request("POST", path, content=content, headers={**JSON, **headers})

    def batch(self, body: str | bytes | Any, headers: Mapping[str, str] = JSON, *, query: str = "") -> httpx.Response:
        return self.post(body, headers, path="/events/batch" + query)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self.arequest(method, path, **options))

    async def arequest(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=30) as client:
            answer = await client.request(method, path, **options)
        assert_documented(answer)
        return answer

    def at_once(self, *requests: Coroutine[Any, Any, Answer]) -> list[Answer]:
        """Run requests together."""

        async def together() -> list[Answer]:
            return await asyncio.gather(*requests)

        return asyncio.run(together())

    def stored(self) -> int:
        """How many events the log holds."""
        head: int = self.container.events().head()
        return head


def assert_documented(answer: httpx.Response) -> None:
    """An answer is one that the OpenAPI document has, an error is a problem, and neither tells what is inside."""
    path, method = answer.request.url.path, answer.request.method.lower()
    operation = next((found[method] for shape, found in _PATHS if shape.fullmatch(path) and method in found), None)
    if operation is not None:
        documented = operation["responses"]
        described = documented.get(str(answer.status_code)) or documented.get("default")
        assert described, f"{method} {path} answered {answer.status_code}, which docs/openapi.json has not"
        media_type = answer.headers["content-type"].partition(";")[0]
        assert media_type in described.get("content", [media_type]), (path, answer.status_code, media_type)
    assert answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    assert "site-packages" not in answer.text
    assert "[SQL" not in answer.text
    if answer.status_code >= 400 and path not in {"/readyz", "/events/batch"}:
        assert answer.headers["content-type"] == "application/problem+json"
        assert method == "head" or problem(answer)["instance"] == path


def problem(answer: httpx.Response) -> dict[str, Any]:
    """The problem document of an answer."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    found: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail"} <= set(found)
    assert found["type"].startswith("/problems/")
    assert found["status"] == answer.status_code
    return found


def pointers(found: Mapping[str, Any]) -> list[str]:
    """Where a problem says that something is wrong."""
    return [fault["pointer"] for fault in found.get("errors", [])]


@contextmanager
def served(
    database_url: str, home: Path, *, engine: bool = False, registry: Any = None, **settings: Any
) -> Iterator[Http]:
    """The application on a migrated database; with `engine`, its threads run too."""
    flags = {"database_url": database_url, "playhead_home": home, "_env_file": None, **settings}
    flags = {"celery_broker_url": "", "elasticsearch_url": "", "pipelines": "", **flags}
    container = Container(settings=providers.Object(load(**flags)))
    if registry is not None:
        container.registry.override(registry)
    service = Service(container)
    try:
        service.prepare(migrate=False)
        if engine:
            service.start_engine()
        yield Http(app=create_app(container), container=container)
    finally:
        service.stop()
