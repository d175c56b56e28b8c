"""Health, metrics, and the pages that say what a problem type means."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.responses import PlainTextResponse
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from domain.errors import NotFound, Stalled
from interfaces.http import answers
from interfaces.http.dependencies import Api, api
from interfaces.http.documented import LIVEZ, PROBLEM_PAGE
from interfaces.http.errors import meaning_of

router = APIRouter(tags=["service"])
TheApi = Annotated[Api, Depends(api)]


@router.get("/livez", **LIVEZ)
async def livez(api: TheApi) -> dict[str, str]:
    """The process answers; and its engine, where it has one, claimed, or looked and found nothing, lately."""
    if api.watchdog.stalled is not None:
        raise Stalled(f"The engine leaves {api.watchdog.stalled!r}, which is due. Start this process again.")
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "The database or its migrations are not right."}})
def readyz(api: TheApi) -> Response:
    """Whether events can be taken: the database and its migrations decide; broker and search are reported."""
    checks = api.checks.all()
    ready = all(check.ok for check in checks if check.required)
    report = {check.name: {"ok": check.ok, "detail": check.detail} for check in checks}
    return answers.json_response({"status": "ok" if ready else "unavailable", "checks": report}, 200 if ready else 503)


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(api: TheApi) -> Response:
    """Prometheus metrics: this process's counters, and the backlogs that the database has now."""
    return Response(api.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


@router.get("/problems/{code}", response_class=PlainTextResponse, **PROBLEM_PAGE)
def problem(code: str) -> str:
    """What a problem type means."""
    meaning = meaning_of(code)
    if meaning is None:
        raise NotFound(f"There is no problem type {code[:60]!r}.")
    return meaning
