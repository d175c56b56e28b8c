"""Who may do what over HTTP: every route of the OpenAPI document, asked by each kind of caller."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from application.auditor import Auditor
from application.key_ring import FRESH_SECONDS, KeyRing
from application.use_cases.keys import CreateKey, create_key, revoke_key
from domain.access import SCOPES
from infrastructure.ids import new_key_parts
from interfaces.http.access import NEEDED, Guard
from interfaces.http.bodies import MAX_BODY
from tests.integration.http import ROOT, Http, event, problem, served

DOCUMENT = json.loads((ROOT / "docs/openapi.json").read_text())
OPERATIONS = {
    (method.upper(), path): operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
OPEN = {("GET", "/livez"), ("GET", "/readyz"), ("GET", "/problems/{code}")}
GARBLED = (
    "Bearer",
    "Bearer ",
    "Bearer x",
    "Bearer ph_0123456789_" + "x" * 43,
    "Bearer ph_0123456789_" + "x" * 10_000,
    "Bearer \x00\x01",
    "Bearer caf\xe9",
    "Basic cGg6eA==",
    "ph_0123456789_" + "x" * 43,
    "",
)


@pytest.fixture
def http(database_url: str, tmp_path: Path) -> Iterator[Http]:
    with served(database_url, tmp_path, api_keys="on") as found:
        yield found


@pytest.fixture
def make(http: Http) -> Callable[..., str]:
    """Makes a key with these scopes; its text."""

    def make_key(*scopes: str) -> str:
        count = len(http.container.api_keys().list())
        return create_key(
            CreateKey(name=f"key{count}", scopes=scopes),
            keys=http.container.api_keys(),
            auditor=http.container.auditor(),
            new_key_parts=new_key_parts,
        ).text

    return make_key


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def ask(http: Http, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    """Ask for a route without what it needs beside a key, so that whoever is let in changes nothing."""
    return http.request(method, path.replace("{", "").replace("}", ""), headers=headers)


def test_every_route_has_a_row_and_every_row_a_route():
    pages = {("GET", "/openapi.json"), ("GET", "/docs")}
    assert set(OPERATIONS) | pages == set(NEEDED)


def test_the_document_says_what_the_table_says():
    assert DOCUMENT["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for route, operation in OPERATIONS.items():
        scope = NEEDED[route]
        assert operation["security"] == ([{"key": [scope]}] if scope else [])
        assert ({"401", "403"} <= set(operation["responses"])) == (scope is not None)


def test_every_route_asked_by_every_kind_of_caller(http: Http, make: Callable[..., str]):
    keys = {scope: make(scope) for scope in SCOPES}
    for (method, path), needed in NEEDED.items():
        for authorization in (None, *GARBLED):
            given = {} if authorization is None else {"authorization": authorization.encode("latin-1")}
            answer = ask(http, method, path, given)  # type: ignore[arg-type]  # httpx takes bytes
            if needed is None:
                assert answer.status_code not in {401, 403}, (method, path)
                continue
            assert (answer.status_code, problem(answer)["type"]) == (401, "/problems/unauthenticated")
            assert answer.headers["www-authenticate"] == "Bearer"
        for scope, key in keys.items():
            answer = ask(http, method, path, bearer(key))
            allowed = needed is None or scope in {needed, "admin"}
            assert (answer.status_code not in {401, 403}) == allowed, (method, path, scope)
            if not allowed:
                assert (answer.status_code, problem(answer)["type"]) == (403, "/problems/forbidden")
                assert f"scope {needed}" in problem(answer)["detail"]
                assert answer.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="{needed}"'
    assert http.stored() == 0


def test_nothing_tells_which_part_of_a_key_was_wrong(http: Http, make: Callable[..., str]):
    key, other = make("admin"), make("admin")
    revoked = make("admin")
    auditor = Auditor("cli:somebody", http.container.audit())
    revoke_key(revoked.split("_")[1], keys=http.container.api_keys(), auditor=auditor)
    last = "A" if key[-1] != "A" else "B"
    wrong = [
        *GARBLED[:5], key[:-1], key[:-1] + last, f"{key[:14]}{other[14:]}", revoked, "ph_0123456789_" + "x" * 43,
    ]  # fmt: skip

    answers = [ask(http, "GET", "/events", bearer(each.removeprefix("Bearer "))) for each in wrong]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert ask(http, "GET", "/events", bearer(key)).status_code == 200


def test_a_key_twice_in_one_request_is_none(http: Http, make: Callable[..., str]):
    key = make("admin")
    answer = http.request("GET", "/events", headers=[("authorization", f"Bearer {key}")] * 2)
    assert answer.status_code == 401


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("PUT", "/events", 405)])
def test_what_is_nowhere_is_told_to_callers_with_a_key_alone(
    http: Http, make: Callable[..., str], method: str, path: str, status: int
):
    assert ask(http, method, path, {}).status_code == 401
    assert ask(http, method, path, bearer(make("replay"))).status_code == status


def test_the_end_of_a_line_leads_past_no_scope(http: Http, make: Callable[..., str]):
    """Routers take `/replays/stale` and a line's end for that path, and the table would take it for an id."""
    reader, admin = make("events:read"), make("admin")

    assert ask(http, "GET", "/replays/stale%0A", bearer(reader)).status_code == 403
    assert ask(http, "GET", "/replays/stale%0A", bearer(admin)).status_code == 200


def test_a_route_without_a_row_is_for_admins(http: Http, make: Callable[..., str]):
    @http.app.get("/forgotten")
    def forgotten() -> str:
        return "reached"

    assert ask(http, "GET", "/forgotten", {}).status_code == 401
    refused = ask(http, "GET", "/forgotten", bearer(make("events:write", "events:read", "replay")))
    assert (refused.status_code, "admin" in problem(refused)["detail"]) == (403, True)
    assert ask(http, "GET", "/forgotten", bearer(make("admin"))).json() == "reached"


def test_who_is_refused_is_refused_before_the_body_is_read(http: Http, make: Callable[..., str]):
    sent = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < MAX_BODY:
            sent += 65_536
            yield b"x" * 65_536

    async def post(headers: dict[str, str]) -> httpx.Response:
        return await http.arequest("POST", "/events", content=counted(), headers=headers)

    assert asyncio.run(post({})).status_code == 401
    assert asyncio.run(post(bearer(make("events:read")))).status_code == 403
    assert sent == 0


def test_a_key_of_the_right_scope_may(http: Http, make: Callable[..., str]):
    posted = http.post(event(), bearer(make("events:write")))
    assert posted.status_code == 202
    read = http.get(posted.headers["location"], headers=bearer(make("events:read")))
    assert read.json()["type"] == "flight.recorded"
    assert http.get("/events", headers={"authorization": f"bearer   {make('admin')}"}).status_code == 200


def test_a_revoked_key_is_refused_once_the_keys_are_read_again(
    http: Http, make: Callable[..., str], monkeypatch: pytest.MonkeyPatch
):
    key = make("events:read")
    assert http.get("/events", headers=bearer(key)).status_code == 200
    auditor = Auditor("cli:somebody", http.container.audit())
    revoke_key(key.split("_")[1], keys=http.container.api_keys(), auditor=auditor)

    ring = http.container.key_ring()
    now = ring._clock()
    monkeypatch.setattr(ring, "_clock", lambda: now + FRESH_SECONDS)

    assert http.get("/events", headers=bearer(key)).status_code == 401


def test_many_at_once_read_the_keys_once(http: Http, make: Callable[..., str], monkeypatch: pytest.MonkeyPatch):
    key, looked = make("events:read"), []
    look = KeyRing.look
    monkeypatch.setattr(KeyRing, "look", lambda ring: (looked.append(1), look(ring)))

    answers = http.at_once(*(http.arequest("GET", "/livez/x", headers=bearer(key)) for _ in range(50)))

    assert {answer.status_code for answer in answers} == {404}
    assert len(looked) == 1


def test_who_acts_with_a_key_is_in_the_audit_by_its_name(http: Http, make: Callable[..., str]):
    key = make("admin")
    body = {"filter": {"pipeline": "flights"}, "count": 0, "reason": "none is left"}

    assert http.post(body, bearer(key), path="/dead-letters/discard").json()["changed"] == 0
    assert http.post({"filter": {}, "count": 0}, bearer(key), path="/dead-letters/requeue").status_code == 200

    requeued, discarded = http.container.audit().read(action="dead")
    assert (requeued.actor, requeued.action, requeued.detail) == (
        "key:key0",
        "dead.requeue",
        {"filter": {}, "count": 0},
    )
    assert (discarded.actor, discarded.action) == ("key:key0", "dead.discard")
    assert discarded.detail == {"filter": {"pipeline": "flights"}, "count": 0, "reason": "none is left"}


def test_where_no_keys_are_asked_for_the_actor_is_http(database_url: str, tmp_path: Path):
    with served(database_url, tmp_path) as http:
        assert http.post({"filter": {}, "count": 0}, path="/dead-letters/requeue").status_code == 200
        assert [entry.actor for entry in http.container.audit().read()] == ["http"]


def test_a_guard_stands_before_the_application_by_the_settings_alone(database_url: str, tmp_path: Path):
    def guard_of(app: FastAPI) -> object:
        [guard] = [each for each in app.user_middleware if each.cls is Guard]
        return guard.kwargs["ring"]

    for host, asked in (("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", True), ("", True)):
        with served(database_url, tmp_path, host=host) as http:
            assert (guard_of(http.app) is not None) == asked, host
