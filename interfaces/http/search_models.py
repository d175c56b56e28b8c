"""What a search asks and answers."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class AggregationBody(BaseModel):
    """One aggregation; see docs/search.md."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["terms", "date_histogram", "stats"]
    field: str
    size: int = Field(10, ge=1, le=1000)
    interval: Literal["minute", "hour", "day", "week", "month"] = "day"
    stats: str | None = None


class SearchBody(BaseModel):
    """What is searched; see docs/search.md."""

    model_config = ConfigDict(extra="forbid", strict=True)

    q: str = ""
    filters: dict[str, Any] = {}
    sort: str | None = None
    size: int = Field(20, ge=0, le=1000)
    cursor: str | None = None
    aggs: dict[str, AggregationBody] = {}


class SearchResult(BaseModel):
    """What was found; `index_lag` is how many contexts the index is behind the log.

    All of it is of one `view`: the promoted replays, the newest first, over the live results.

    With a `warning` the index shows another log, as after a restore: what is found may not be stored.
    """

    hits: list[dict[str, Any]]
    total: int
    aggs: dict[str, Any]
    cursor: str | None
    backend: str
    index_lag: int
    view: list[int]
    warning: str | None = None
