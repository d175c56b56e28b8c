"""Access: the one table of what each route needs, and the guard that asks for it before anything else is read."""

import asyncio
from collections.abc import Mapping
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Headers
from starlette.routing import Match, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from application.key_ring import KeyRing
from application.ports.api_keys import ApiKey
from domain import access
from domain.access import allows
from domain.errors import Forbidden, PlayheadError, Unauthenticated
from interfaces.http.errors import headers_of, mask_at, problem_of, problem_response

NEEDED: Mapping[tuple[str, str], access.Scope | None] = {
    ("POST", "/events"): "events:write",
    ("POST", "/events/batch"): "events:write",
    ("GET", "/events"): "events:read",
    ("GET", "/events/{event_id}"): "events:read",
    ("GET", "/events/{event_id}/contexts"): "events:read",
    ("GET", "/events/{event_id}/explain"): "events:read",
    ("GET", "/tasks/{task_id}"): "events:read",
    ("GET", "/search"): "events:read",
    ("POST", "/search"): "events:read",
    ("GET", "/dead-letters"): "events:read",
    ("GET", "/dead-letters/groups"): "events:read",
    ("GET", "/dead-letters/{event_id}"): "events:read",
    ("POST", "/dead-letters/requeue"): "replay",
    ("POST", "/dead-letters/discard"): "admin",
    ("GET", "/effects"): "events:read",
    ("GET", "/effects/{effect_id}"): "events:read",
    ("POST", "/effects/{effect_id}/retry"): "replay",
    ("GET", "/replays"): "events:read",
    ("POST", "/replays"): "replay",
    ("POST", "/replays/{replay_id}/promote"): "replay",
    ("POST", "/replays/{replay_id}/rollback"): "replay",
    ("GET", "/replays/stale"): "replay",
    ("GET", "/replays/{replay_id}"): "events:read",
    ("GET", "/replays/{replay_id}/diff"): "replay",
    ("POST", "/replays/{replay_id}/pause"): "replay",
    ("POST", "/replays/{replay_id}/resume"): "replay",
    ("POST", "/replays/{replay_id}/abort"): "replay",
    ("GET", "/metrics"): "events:read",
    ("GET", "/livez"): None,
    ("GET", "/readyz"): None,
    ("GET", "/problems/{code}"): None,
    ("GET", "/openapi.json"): None,
    ("GET", "/docs"): None,
}
"""The scope that each route needs; None: it is open. A route that is missing here needs `admin`."""

_SHAPES = [(method, compile_path(path)[0], scope) for (method, path), scope in NEEDED.items() if "{" in path]
_SCHEME = "key"
_NO_KEY = "This needs a key: send the header Authorization: Bearer KEY. `playhead keys create` makes one."
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


class Guard:
    """ASGI middleware: 401 or 403 before a byte of the body is read. The actor of the request is in its state."""

    def __init__(self, app: ASGIApp, ring: KeyRing | None) -> None:
        """`ring` knows the keys; None where none is asked for."""
        self._app = app
        self._ring = ring
        self._looking: asyncio.Future[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                await self.admit(scope)
            except PlayheadError as error:
                answer = problem_response(
                    problem_of(error, scope["path"], mask=mask_at(scope["app"])), headers_of(error)
                )
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def admit(self, scope: Scope) -> None:
        """Ask whether a request may be answered, and on: an answer without end asks again.

        Raises:
            Unauthenticated, Forbidden: it may not.
            Unavailable: the database cannot be reached, and its key is not known.
        """
        state = scope.setdefault("state", {})
        state["actor"] = "http"
        state["guard"] = self
        known, needed = needed_for(scope["method"], scope["path"])
        if self._ring is None or (known and needed is None):
            return
        key = await self._key(_shown(scope), self._ring)
        if key is None:
            raise Unauthenticated(_NO_KEY)
        state["key"], state["actor"] = key.name, f"key:{key.name}"
        if not known:
            # What is nowhere is for the application to say; a route that nobody thought of is for admins.
            needed = "admin" if _is_routed(scope) else None
        if needed is not None and not allows(key.scopes, needed):
            raise Forbidden(f"The key {key.name!r} lacks the scope {needed}, which this needs.", scope=needed)

    async def _key(self, text: str, ring: KeyRing) -> ApiKey | None:
        came = ring.now()
        while ring.must_look(text, since=came):
            await self._looked_once(ring)
        return ring.find(text)

    async def _looked_once(self, ring: KeyRing) -> None:
        """Read the keys once for all requests that wait for them."""
        if self._looking is None:
            self._looking = asyncio.ensure_future(_look(ring))
            self._looking.add_done_callback(self._looked)
        await asyncio.shield(self._looking)

    def _looked(self, done: "asyncio.Future[None]") -> None:
        self._looking = None
        if not done.cancelled():
            done.exception()  # it is known, also where no request waits any more


async def _look(ring: KeyRing) -> None:
    """Read the keys, in a thread that no slow request holds."""
    await asyncio.sleep(ring.pause())
    await to_thread.run_sync(ring.look, limiter=CapacityLimiter(1))


def needed_for(method: str, path: str) -> tuple[bool, access.Scope | None]:
    """Whether the table has this request, and the scope that it needs."""
    if not path.isprintable():  # a router may take a line's end for the end of the path
        return False, None
    if (method, path) in NEEDED:
        return True, NEEDED[method, path]
    found = [scope for verb, shape, scope in _SHAPES if verb == method and shape.fullmatch(path)]
    return bool(found), found[0] if found else None


def secured(document: dict[str, Any]) -> None:
    """Say in an OpenAPI document which operation needs which scope."""
    document["components"]["securitySchemes"] = {
        _SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "description": "Asked for unless the service listens on a loopback address alone. "
            f"A key has scopes: {', '.join(access.SCOPES)} (which is allowed all).",
        }
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            scope = NEEDED[method.upper(), path]
            operation["security"] = [{_SCHEME: [scope]}] if scope else []
            if scope:
                operation["responses"]["401"] = {"description": "No key that is good here.", "content": _PROBLEM}
                operation["responses"]["403"] = {"description": f"The key lacks `{scope}`.", "content": _PROBLEM}


def _shown(scope: Scope) -> str:
    """The key that a request shows, empty for none."""
    given = Headers(scope=scope).getlist("authorization")
    scheme, _, text = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return text.strip() if scheme.lower() == "bearer" else ""


def _is_routed(scope: Scope) -> bool:
    return any(route.matches(scope)[0] is Match.FULL for route in scope["app"].routes)
