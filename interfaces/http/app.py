"""The application: routes, errors, and one log line a request."""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from infrastructure.container import Container
from interfaces.http import errors
from interfaces.http.access import Guard, secured
from interfaces.http.dependencies import Api
from interfaces.http.documented import COMPONENTS
from interfaces.http.request_log import RequestLog
from interfaces.http.routes import dead_letters, effects, events, health, replays, search, tasks


class _App(FastAPI):
    """FastAPI, with the schemas of what its routes read and write by themselves."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document["components"]["schemas"] |= COMPONENTS
        secured(document)
        return document


def create_app(container: Container) -> FastAPI:
    """The HTTP application on a container's ports. Who runs it prepares and stops the service."""
    app = routes()
    app.state.api = Api.of(container)
    # Before FastAPI's own route to the same function, which documents it: what FastAPI does in between takes longer
    # than all that the function does.
    app.router.routes.insert(0, _Direct("/events", _post_event, methods=["POST"]))
    app.add_middleware(Guard, ring=container.key_ring() if container.settings().needs_keys else None)
    app.add_middleware(RequestLog, journal=container.journal(), new_id=container.new_id)
    return app


class _Direct(Route):
    """A route without FastAPI, that says of a request where it came to, as FastAPI's do."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        return match, {**child, "route": self}


async def _post_event(request: Request) -> Response:
    return await events.post_event(request, request.app.state.api)


def routes() -> FastAPI:
    """The routes and their errors, on no ports yet."""
    app = _App(
        title="Playhead",
        version=version("playhead"),
        description="Post an event; follow its task; search the results.",
        redoc_url=None,
    )
    errors.install(app)
    for router in (
        events.router,
        tasks.router,
        dead_letters.router,
        effects.router,
        replays.router,
        search.router,
        health.router,
    ):
        app.include_router(router)
    return app
