"""GET and POST /search."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from application.ports.search_index import Aggregation, SearchQuery
from application.use_cases.results import search
from domain.envelopes import is_json
from domain.errors import UnsupportedMedia
from domain.strict_json import decode, text_of
from interfaces.http.bodies import MAX_EVENT, read_body
from interfaces.http.dependencies import Api, api
from interfaces.http.documented import SEARCH, body_of
from interfaces.http.errors import invalid_request

router = APIRouter(tags=["search"])
TheApi = Annotated[Api, Depends(api)]
_FILTER = "filter."


class AggregationBody(BaseModel):
    """One aggregation; see docs/search.md."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["terms", "date_histogram", "stats"]
    field: str
    size: int = Field(10, ge=1, le=1000)
    interval: Literal["minute", "hour", "day", "week", "month"] = "day"
    stats: str | None = None


class SearchBody(BaseModel):
    """What is searched; see docs/search.md."""

    model_config = ConfigDict(extra="forbid")

    q: str = ""
    filters: dict[str, Any] = {}
    sort: str | None = None
    size: int = Field(20, ge=0, le=1000)
    cursor: str | None = None
    aggs: dict[str, AggregationBody] = {}


class SearchResult(BaseModel):
    """What was found; `index_lag` is how many contexts the index is behind the log."""

    hits: list[dict[str, Any]]
    total: int
    aggs: dict[str, Any]
    cursor: str | None
    backend: str
    index_lag: int


async def search_body(request: Request) -> SearchBody:
    """Read what is searched, as strictly as an event."""
    if not is_json(request.headers.get("content-type", "")):
        raise UnsupportedMedia("A search is read from application/json alone.")
    read = decode(text_of(await read_body(request, MAX_EVENT)))
    try:
        return SearchBody.model_validate(read)
    except ValidationError as error:
        raise invalid_request(error.errors()) from error


@router.post("/search", **SEARCH, **body_of(SearchBody))
def post_search(body: Annotated[SearchBody, Depends(search_body)], api: TheApi) -> SearchResult:
    """Search the results: text, exact fields, ranges, aggregations."""
    aggs = {name: Aggregation(**agg.model_dump()) for name, agg in body.aggs.items()}
    return _search(SearchQuery(**{**body.model_dump(), "aggs": aggs}), api)


@router.get("/search", **SEARCH)
def get_search(
    request: Request,
    api: TheApi,
    q: str = "",
    sort: str | None = None,
    size: Annotated[int, Query(ge=0, le=1000)] = 20,
    cursor: str | None = None,
) -> SearchResult:
    """Search by URL; `filter.FIELD=VALUE` narrows, several values of one field mean any of them."""
    filters: dict[str, Any] = {}
    for name in dict.fromkeys(request.query_params.keys()):
        if name.startswith(_FILTER):
            values = request.query_params.getlist(name)
            filters[name.removeprefix(_FILTER)] = values[0] if len(values) == 1 else values
    return _search(SearchQuery(q=q, filters=filters, sort=sort, size=size, cursor=cursor), api)


def _search(query: SearchQuery, api: Api) -> SearchResult:
    found = search(query, index=api.search_index, claims=api.claims)
    answer = found.answer
    return SearchResult(
        hits=[dict(hit) for hit in answer.hits],
        total=answer.total,
        aggs=dict(answer.aggs),
        cursor=answer.cursor,
        backend=found.backend,
        index_lag=found.index_lag,
    )
