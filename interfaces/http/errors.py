"""Errors as problem documents (RFC 9457): each class of the one tree has its status here, and nowhere else."""

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from domain import errors
from domain.errors import Fault, PlayheadError
from domain.json_faults import pointer

STATUS: Mapping[type[PlayheadError], int] = {
    errors.MalformedJson: 400,
    errors.InvalidRequest: 400,
    errors.InvalidQuery: 400,
    errors.NotFound: 404,
    errors.WrongExpectedVersion: 409,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.InvalidEvent: 422,
    errors.UnknownType: 422,
    errors.KeyReused: 422,
    errors.AtomicRefused: 422,
    errors.Unavailable: 503,
}
RETRY_AFTER_SECONDS = 2

_PLAIN = {404: "not-found", 405: "method-not-allowed", 500: "internal-error"}


def status_of(error: PlayheadError) -> int:
    """The HTTP status of an error."""
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def problem_of(error: PlayheadError, instance: str | None = None) -> dict[str, Any]:
    """The problem document of an error."""
    problem = _problem(
        error.code, _title(type(error)), status_of(error), error.detail, instance=instance, faults=error.faults
    )
    if isinstance(error, errors.WrongExpectedVersion):
        problem["current_version"] = error.current
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
    if problem["status"] == 503:
        extra["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return Response(to_json(problem), problem["status"], extra, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Answer every error of this application by a problem document, without a stack trace."""
    log = structlog.get_logger("playhead.http")

    @app.exception_handler(PlayheadError)
    async def _known(request: Request, error: PlayheadError) -> Response:
        return problem_response(problem_of(error, request.url.path))

    @app.exception_handler(HTTPException)
    async def _plain(request: Request, error: HTTPException) -> Response:
        code = _PLAIN.get(error.status_code, "invalid-request")
        details = {
            404: f"There is nothing at {request.url.path}.",
            405: f"{request.method} is not a method of {request.url.path}.",
        }
        detail = details.get(error.status_code, str(error.detail))
        title = code.replace("-", " ").capitalize()
        problem = _problem(code, title, error.status_code, detail, instance=request.url.path)
        return problem_response(problem, error.headers)

    @app.exception_handler(RequestValidationError)
    async def _parameters(request: Request, error: RequestValidationError) -> Response:
        faults = [Fault(pointer(item["loc"]), item["type"], item["msg"]) for item in error.errors()]
        detail = "; ".join(f"{fault.pointer}: {fault.message}" for fault in faults)
        return problem_response(problem_of(errors.InvalidRequest(detail, faults=faults), request.url.path))

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        log.error("request_failed", path=request.url.path, exc_info=error)
        detail = "Something failed that should not; the service's log says what."
        return problem_response(_problem("internal-error", "Internal error", 500, detail, instance=request.url.path))


def meaning_of(code: str) -> str | None:
    """What the page of a problem type says, None for an unknown one."""
    for kind in STATUS:
        if kind.code == code:
            return f"{_title(kind)} ({STATUS[kind]})\n\n{kind.__doc__}\n"
    return f"{code.replace('-', ' ').capitalize()}\n" if code in _PLAIN.values() else None


def _title(kind: type[PlayheadError]) -> str:
    return kind.code.replace("-", " ").capitalize()
