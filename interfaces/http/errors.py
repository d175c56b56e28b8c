"""Errors as problem documents (RFC 9457): each class of the one tree has its status here, and nowhere else."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.routing import Match

from domain import errors
from domain.errors import Fault, PlayheadError
from domain.json_faults import pointer
from infrastructure.masking import Mask, mask_patterns

STATUS: Mapping[type[PlayheadError], int] = {
    errors.MalformedJson: 400,
    errors.InvalidRequest: 400,
    errors.InvalidQuery: 400,
    errors.InvalidReplay: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Slow: 408,
    errors.WrongExpectedVersion: 409,
    errors.CountDiffers: 409,
    errors.EffectBusy: 409,
    errors.NotCaughtUp: 409,
    errors.ViewChanged: 409,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.InvalidEvent: 422,
    errors.UnknownType: 422,
    errors.KeyReused: 422,
    errors.AtomicRefused: 422,
    errors.Overloaded: 429,
    errors.Unavailable: 503,
    errors.Stalled: 503,
}
RETRY_AFTER_SECONDS = 2

_METHODS = ("GET", "POST")
_PLAIN = {404: "not-found", 405: "method-not-allowed", 431: "header-too-large", 500: "internal-error"}


def status_of(error: PlayheadError) -> int:
    """The HTTP status of an error."""
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def problem_of(error: PlayheadError, instance: str | None = None, *, mask: Mask = mask_patterns) -> dict[str, Any]:
    """The problem document of an error, its secrets covered."""
    problem = _problem(
        error.code, _title(error.code), status_of(error), mask(error.detail), instance=instance, faults=error.faults
    )
    if isinstance(error, errors.WrongExpectedVersion):
        problem["current_version"] = error.current
    if isinstance(error, errors.CountDiffers):
        problem["count"] = error.count
    if isinstance(error, errors.Overloaded):
        problem["retry_after"] = math.ceil(error.retry_after)
    return problem


def _problem(
    code: str, title: str, status: int, detail: str, *, instance: str | None, faults: tuple[Fault, ...] = ()
) -> dict[str, Any]:
    return {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        **({"instance": instance} if instance else {}),
        **(
            {"errors": [{"pointer": f.pointer, "code": f.code, "message": f.message} for f in faults]} if faults else {}
        ),
    }


def problem_response(problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """A problem document as a response."""
    extra = dict(headers or {})
    if problem["status"] in {429, 503}:
        extra["Retry-After"] = str(problem.get("retry_after", RETRY_AFTER_SECONDS))
    return Response(to_json(problem), problem["status"], extra, media_type="application/problem+json")


def mask_at(app: FastAPI) -> Mask:
    """What covers the secrets of an application's settings."""
    mask: Mask = app.state.api.mask
    return mask


def headers_of(error: PlayheadError) -> Mapping[str, str]:
    """The headers that belong to an error: what a request without a good key is asked for (RFC 6750)."""
    if isinstance(error, errors.Unauthenticated):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, errors.Forbidden):
        return {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{error.scope}"'}
    return {"Connection": "close"} if isinstance(error, errors.Slow) else {}


def install(app: FastAPI) -> None:
    """Answer every known error of this application by a problem document; `unexpected` is for the others."""

    @app.exception_handler(PlayheadError)
    async def _known(request: Request, error: PlayheadError) -> Response:
        return problem_response(problem_of(error, request.url.path, mask=mask_at(request.app)), headers_of(error))

    @app.exception_handler(HTTPException)
    async def _plain(request: Request, error: HTTPException) -> Response:
        path, status = request.url.path, error.status_code
        allowed = _methods_of(request) if status == 405 else ""
        details = {
            404: f"There is nothing at {path}.",
            405: f"{request.method[:20]} is not a method of {path}; it has {allowed}.",
        }
        code = _PLAIN.get(status, errors.InvalidRequest.code)
        problem = _problem(code, _title(code), status, details.get(status, str(error.detail)), instance=path)
        return problem_response(problem, {"Allow": allowed} if allowed else error.headers)

    @app.exception_handler(RequestValidationError)
    async def _parameters(request: Request, error: RequestValidationError) -> Response:
        return problem_response(problem_of(invalid_request(error.errors()), request.url.path))


def invalid_request(found: Iterable[Mapping[str, Any]]) -> errors.InvalidRequest:
    """What pydantic found wrong with parameters or with a body that is no event."""
    faults = [Fault(pointer(item["loc"]), item["type"], item["msg"]) for item in found]
    detail = "; ".join(f"{fault.pointer}: {fault.message}" for fault in faults[:5])
    return errors.InvalidRequest(detail, faults=faults)


def unexpected(path: str) -> Response:
    """The answer where something failed that should not: it says nothing of what is inside."""
    detail = "Something failed that should not; the service's log says what, under this answer's x-request-id."
    return problem_response(_problem("internal-error", "Internal error", 500, detail, instance=path))


def _methods_of(request: Request) -> str:
    """The methods of a path, over all the routes that have it."""
    # Of /events/batch those of that very path, not those of /events/{event_id}.
    documented = request.app.openapi()["paths"].get(request.url.path)
    if documented is not None:
        return ", ".join(method for method in _METHODS if method.lower() in documented)
    scopes = {method: {**request.scope, "method": method} for method in _METHODS}
    routes = request.app.routes
    return ", ".join(
        method for method, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)
    )


def meaning_of(code: str) -> str | None:
    """What the page of a problem type says, None for an unknown one."""
    for kind in STATUS:
        if kind.code == code:
            return f"{_title(code)} ({STATUS[kind]})\n\n{kind.__doc__}\n"
    return f"{_title(code)}\n" if code in _PLAIN.values() else None


def _title(code: str) -> str:
    return code.replace("-", " ").capitalize()
