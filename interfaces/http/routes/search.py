"""GET and POST /search."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import ValidationError

from application.ports.search_index import Aggregation, SearchQuery
from application.use_cases.results import search
from domain.envelopes import is_json
from domain.errors import UnsupportedMedia
from domain.strict_json import decode, text_of
from interfaces.http.bodies import MAX_EVENT, read_body
from interfaces.http.dependencies import Api, api
from interfaces.http.documented import POST_SEARCH, SEARCH
from interfaces.http.errors import invalid_request
from interfaces.http.search_models import SearchBody, SearchResult

router = APIRouter(tags=["search"])
TheApi = Annotated[Api, Depends(api)]
_FILTER = "filter."


async def search_body(request: Request) -> SearchBody:
    """Read what is searched, as strictly as an event.

    Raises:
        PlayheadError: it is too large, not JSON, or not a search.
    """
    if not is_json(request.headers.get("content-type", "")):
        raise UnsupportedMedia("A search is read from application/json alone.")
    read = decode(text_of(await read_body(request, MAX_EVENT)))
    try:
        return SearchBody.model_validate(read)
    except ValidationError as error:
        raise invalid_request(error.errors()) from error


@router.post("/search", **POST_SEARCH)
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
    found = search(query, index=api.search_index, claims=api.claims, log_ids=api.log_ids)
    answer = found.answer
    return SearchResult(
        hits=[dict(hit) for hit in answer.hits],
        total=answer.total,
        aggs=dict(answer.aggs),
        cursor=answer.cursor,
        backend=found.backend,
        index_lag=found.index_lag,
        warning=found.warning,
    )
