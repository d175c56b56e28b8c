"""What a plan of a replay asks, and what is told of replays."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from application.ports.promotions import View
from application.ports.replays import Replay
from application.ports.task_states import TaskStatus
from application.use_cases.replaying import Effects, Progress, State
from interfaces.http.fields import Name, Time

Position = Annotated[int | None, Field(ge=1, le=2**63 - 1)]


class PlanBody(BaseModel):
    """Which events: those named by id; or those that fit all that is said; or `all`.

    `since` (inclusive) and `until` (exclusive) are on the event's time, `first` and `last` (inclusive) on its position.
    `status`, `query`, `generation` and `stale` (today's code could change its result) mean what is so now: a list of
    at most 100,000 events is written down.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    ids: list[str] = Field([], max_length=10_000)
    type: Name = None
    pipeline: Name = None
    since: Time = None
    until: Time = None
    first: Position = None
    last: Position = None
    status: TaskStatus | None = None
    query: Name = None
    generation: int | None = Field(None, ge=0, le=2**31 - 1)
    stale: bool = False
    all: bool = False


class ReplayAnswer(BaseModel):
    """A planned replay: its id, which is also its generation, and the code it was planned for."""

    id: int
    count: int
    created_at: datetime
    fingerprints: dict[str, str]
    links: dict[str, str]


class ReplaysAnswer(BaseModel):
    """All replays, and which of them are promoted; both the newest first."""

    replays: list[ReplayAnswer]
    view: list[int]


class ViewAnswer(BaseModel):
    """What holds since then: the promoted replays, the newest first, over the live results."""

    view: list[int]
    action: str
    generation: int
    at: datetime

    @classmethod
    def of(cls, view: View) -> "ViewAnswer":
        """A view as it is answered."""
        return cls.model_validate({**asdict(view), "view": view.promoted})


class PlanAnswer(ReplayAnswer):
    """A plan: how many events by type, the first of them, and what some that have succeeded before would do."""

    by_type: dict[str, int]
    without_pipeline: list[str]
    first: list[str]
    sampled: int
    effects: dict[str, int]
    failing: int
    seconds: float | None


class ContextsAnswer(BaseModel):
    """How many contexts of a pipeline have a status."""

    pipeline: str
    status: str
    contexts: int


class FailureAnswer(BaseModel):
    """A kind of failure, and how many events ended dead by it."""

    failure: str
    count: int


class ProgressAnswer(ReplayAnswer):
    """How far a replay is: `ended` of its events have, of these `dead` without a result.

    `running` is one that was begun and has not ended, whether a process works it now or not. `effects` is null before
    the first run; `waiting` counts contexts whose follow-ups or calls wait to be carried out.
    """

    state: State
    ended: int
    dead: int
    failures: list[FailureAnswer]
    effects: Effects | None
    waiting: int


class StatusAnswer(ProgressAnswer):
    """How far a replay is, and how its results compare with the live ones by digest."""

    done: bool
    contexts: list[ContextsAnswer]
    identical: int
    different: int
    without_live: int


class DifferenceClassAnswer(BaseModel):
    """Differences of one kind; `old` and `new` are the values of the first example."""

    pipeline: str
    node: str
    place: str
    words: str
    old: Any
    new: Any
    events: int
    examples: list[str]


class ComparisonAnswer(BaseModel):
    """What differs between a replay and the live results. `noise_sought`: the code here is the replay's."""

    id: int
    same: bool
    noise_sought: bool
    compared: int
    identical: int
    equivalent: int
    different: int
    without_live: int
    different_by_day: dict[str, int]
    noise: list[str]
    classes: list[DifferenceClassAnswer]


class StaleClassAnswer(BaseModel):
    """Results of a pipeline that the same parts of its code could change; `changed` says what of these has changed."""

    pipeline: str
    causes: list[str]
    changed: list[str]
    results: int
    examples: list[str]


class StalenessAnswer(BaseModel):
    """Of all results that hold those that today's code could change, by cause.

    Seen is the code of `packages`; of the constants in `unseen` only the statement that makes them. Libraries are not
    seen.
    """

    results: int
    stale: int
    classes: list[StaleClassAnswer]
    packages: list[str]
    unseen: list[str]


def members_of(replay: Replay) -> dict[str, Any]:
    """The members of a `ReplayAnswer`."""
    here = f"/replays/{replay.id}"
    return {
        "id": replay.id,
        "count": replay.count,
        "created_at": replay.created_at,
        "fingerprints": dict(replay.fingerprints),
        "links": {"replay": here, "diff": f"{here}/diff"},
    }


def members_of_progress(replay: Replay, progress: Progress) -> dict[str, Any]:
    """The members of a `ProgressAnswer`."""
    failures = [FailureAnswer(failure=kind, count=count) for kind, count in progress.failures]
    return members_of(replay) | asdict(progress) | {"failures": failures}
