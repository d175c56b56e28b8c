"""/replays: planned, looked at, compared, paused and aborted. They are run by the command line, with its code."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from application.auditor import Auditor
from application.use_cases import replay as use_cases
from application.use_cases import replaying
from application.use_cases.promoting import promote_replay, roll_back
from application.use_cases.replay_plans import PlanReplay
from domain.differences import Rules
from interfaces.http.bodies import model_in_body
from interfaces.http.dependencies import Api, api, auditor
from interfaces.http.documented import CHANGE_REPLAY, COMPARISON, PLAN, PROMOTION, REPLAY, REPLAYS, STALE
from interfaces.http.replay_models import (
    ComparisonAnswer,
    ContextsAnswer,
    DifferenceClassAnswer,
    PlanAnswer,
    PlanBody,
    ProgressAnswer,
    ReplayAnswer,
    ReplaysAnswer,
    StalenessAnswer,
    StatusAnswer,
    ViewAnswer,
    members_of,
    members_of_progress,
)

router = APIRouter(prefix="/replays", tags=["replays"])
TheApi = Annotated[Api, Depends(api)]
TheAuditor = Annotated[Auditor, Depends(auditor)]
Id = Annotated[int, Path(ge=1, le=2**31 - 1)]
Place = Annotated[str, Query(pattern=r"^(/[^\x00]*)?$")]


@router.get("", **REPLAYS)
def list_replays(api: TheApi) -> ReplaysAnswer:
    """All replays, the newest first."""
    view = list(api.promotions.current().promoted)
    return ReplaysAnswer(replays=[ReplayAnswer(**members_of(each)) for each in api.replays.list()], view=view)


@router.post("", status_code=201, **PLAN)
def plan(
    body: Annotated[PlanBody, Depends(model_in_body(PlanBody))],
    api: TheApi,
    auditor: TheAuditor,
    response: Response,
) -> PlanAnswer:
    """Freeze which events are meant, and for which code: this service's. Nothing runs yet."""
    command = PlanReplay(**body.model_dump(exclude={"all"}), everything=body.all)
    planned = api.plan_replay()(command, auditor=auditor)
    response.headers["Location"] = f"/replays/{planned.replay.id}"
    return PlanAnswer(
        **members_of(planned.replay),
        by_type=dict(planned.by_type),
        without_pipeline=list(planned.without_pipeline),
        first=[event.id for event in planned.first],
        sampled=planned.sampled,
        effects=dict(planned.effects),
        failing=planned.failing,
        seconds=None if planned.seconds is None else round(planned.seconds, 1),
    )


@router.post("/{replay_id}/promote", **PROMOTION)
def promote(replay_id: Id, api: TheApi, auditor: Annotated[Auditor, Depends(auditor)]) -> ViewAnswer:
    """Let the results of a replay hold. Its index must have been built: the command line does that."""
    replay = use_cases.get_replay(replay_id, replays=api.replays)
    return ViewAnswer.of(promote_replay(replay, builder=api.index_builder(), auditor=auditor, build=False))


@router.post("/{replay_id}/rollback", **PROMOTION)
def rollback(replay_id: Id, api: TheApi, auditor: Annotated[Auditor, Depends(auditor)]) -> ViewAnswer:
    """Let the results hold that held before this replay, which was promoted last. Nothing is deleted."""
    return ViewAnswer.of(roll_back(replay_id, builder=api.index_builder(), auditor=auditor, build=False))


@router.get("/stale", **STALE)
def list_stale(api: TheApi) -> StalenessAnswer:
    """The results that hold and that this service's code could change, by cause."""
    return StalenessAnswer(**asdict(api.find_stale()()))


@router.get("/{replay_id}", **REPLAY)
def get_replay(replay_id: Id, api: TheApi) -> StatusAnswer:
    """How far a replay is, and how many of its results have the digest of the live ones."""
    replay = use_cases.get_replay(replay_id, replays=api.replays)
    found = use_cases.replay_status(replay, claims=api.claims, contexts=api.contexts, promotions=api.promotions)
    return StatusAnswer(
        **members_of_progress(replay, replaying.replay_progress(replay, **api.replay_ports())),
        done=found.done,
        contexts=[
            ContextsAnswer(pipeline=pipeline, status=status, contexts=contexts)
            for pipeline, status, contexts in found.contexts
        ],
        identical=found.identical,
        different=found.different,
        without_live=found.without_live,
    )


@router.post("/{replay_id}/pause", **CHANGE_REPLAY)
def pause(replay_id: Id, api: TheApi, auditor: TheAuditor) -> ProgressAnswer:
    """Let the processes that run a replay end their claims and wait, until it is resumed."""
    replay = replaying.pause_replay(replay_id, **api.control_ports(), auditor=auditor)
    return ProgressAnswer(**members_of_progress(replay, replaying.replay_progress(replay, **api.replay_ports())))


@router.post("/{replay_id}/resume", **CHANGE_REPLAY)
def resume(replay_id: Id, api: TheApi, auditor: TheAuditor) -> ProgressAnswer:
    """Let a paused replay go on: by the processes that wait, or by the next `playhead replay run`."""
    replay = replaying.resume_replay(replay_id, **api.control_ports(), auditor=auditor)
    return ProgressAnswer(**members_of_progress(replay, replaying.replay_progress(replay, **api.replay_ports())))


@router.post("/{replay_id}/abort", **CHANGE_REPLAY)
def abort(replay_id: Id, api: TheApi, auditor: TheAuditor) -> ProgressAnswer:
    """End a replay for good. What it has made stays; it cannot be run again."""
    replay = replaying.abort_replay(replay_id, **api.control_ports(), auditor=auditor)
    return ProgressAnswer(**members_of_progress(replay, replaying.replay_progress(replay, **api.replay_ports())))


@router.get("/{replay_id}/diff", **COMPARISON)
def diff(
    replay_id: Id,
    api: TheApi,
    tolerance: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0.0,
    ignore: Annotated[list[Place], Query()] = [],  # noqa: B006  # FastAPI copies it
) -> ComparisonAnswer:
    """What differs between a replay and the live results, by kind; `ignore` leaves places out."""
    replay = use_cases.get_replay(replay_id, replays=api.replays)
    found = api.compare_replay()(replay, Rules(tolerance=tolerance, ignored=tuple(ignore)))
    counts = {name: getattr(found, name) for name in ("compared", "identical", "equivalent", "different")}
    return ComparisonAnswer(
        id=replay.id,
        same=found.same,
        noise_sought=found.noise_sought,
        **counts,
        without_live=found.without_live,
        different_by_day=found.different_by_day,
        noise=list(found.noise),
        classes=[DifferenceClassAnswer(**asdict(one)) for one in found.classes],
    )
