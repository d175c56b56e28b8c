"""What a decision about dead letters asks and answers."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from application.ports.dead_letters import DeadLetterFilter
from application.use_cases.dead_letters import Chosen
from interfaces.http.fields import Name, Time


class FilterBody(BaseModel):
    """Which dead letters; `since` and `until` are on the time at which the event died."""

    model_config = ConfigDict(extra="forbid", strict=True)

    pipeline: Name = None
    type: Name = None
    failure: Name = None
    since: Time = None
    until: Time = None


class ChosenBody(BaseModel):
    """Dead letters by the ids of their events; or all that fit a filter, with their number as it was seen."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ids: list[str] = Field([], max_length=1000)
    filter: FilterBody | None = None
    count: int | None = Field(None, ge=0)

    def chosen(self) -> Chosen:
        """As the use cases take it."""
        wanted = None if self.filter is None else DeadLetterFilter(**self.filter.model_dump())
        return Chosen(ids=self.ids, wanted=wanted, count=self.count)


class DiscardBody(ChosenBody):
    """As for a requeue, and why."""

    reason: str = Field(max_length=500)


class DecidedAnswer(BaseModel):
    """How many it changed; of those named by id that were no dead letters, the ids."""

    changed: int
    unchanged: list[str]


class DeadLetterAnswer(BaseModel):
    """A dead letter: its event, where and why it failed, and when it died."""

    event_id: str
    position: int
    type: str
    subject: str
    pipeline: str
    failure: str | None
    error: dict[str, Any] | None
    attempt: int
    died_at: datetime
    links: dict[str, str]


class DeadLettersAnswer(BaseModel):
    """A page of dead letters, how many fit in all, and the cursor of the next page."""

    dead_letters: list[DeadLetterAnswer]
    count: int
    next: str | None


class GroupAnswer(BaseModel):
    """Dead letters of one pipeline with one kind of failure."""

    pipeline: str
    failure: str | None
    count: int
    first_at: datetime
    last_at: datetime


class GroupsAnswer(BaseModel):
    """The groups, the largest first."""

    groups: list[GroupAnswer]
