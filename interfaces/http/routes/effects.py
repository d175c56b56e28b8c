"""GET /effects, GET /effects/{effect_id} and POST /effects/{effect_id}/retry."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from application.auditor import Auditor
from application.effect_history import EffectStatus
from application.use_cases import effect_states as use_cases
from interfaces.http import answers
from interfaces.http.dependencies import Api, api, auditor
from interfaces.http.documented import EFFECT, EFFECTS, RETRY_EFFECT

router = APIRouter(tags=["effects"])
TheApi = Annotated[Api, Depends(api)]
TheAuditor = Annotated[Auditor, Depends(auditor)]


@router.get("/effects", **EFFECTS)
def list_effects(
    api: TheApi, status: EffectStatus | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 50
) -> Response:
    """Calls that contexts declare, those of the newest events first, with their states."""
    return answers.json_response({"effects": use_cases.list_effects(status, limit=limit, **api.effect_ports())})


@router.get("/effects/{effect_id}", **EFFECT)
def get_effect(effect_id: str, api: TheApi) -> Response:
    """One effect, and every step of every attempt."""
    return answers.json_response(use_cases.get_effect(effect_id, **api.effect_ports()))


@router.post("/effects/{effect_id}/retry", **RETRY_EFFECT)
def retry_effect(effect_id: str, api: TheApi, auditor: TheAuditor) -> Response:
    """Make an effect that is dead, unknown or failed due now. One that is pending or done stays as it is."""
    return answers.json_response(
        use_cases.retry_effect(effect_id, dispatcher=api.dispatcher, auditor=auditor, **api.effect_ports())
    )
