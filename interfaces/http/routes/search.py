"""GET and POST /search."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from application.ports.search_index import Aggregation, SearchQuery
from application.use_cases.results import search
from interfaces.http.bodies import model_in_body
from interfaces.http.dependencies import Api, api
from interfaces.http.documented import POST_SEARCH, SEARCH
from interfaces.http.search_models import SearchBody, SearchResult

router = APIRouter(tags=["search"])
TheApi = Annotated[Api, Depends(api)]
_FILTER = "filter."


@router.post("/search", **POST_SEARCH)
def post_search(body: Annotated[SearchBody, Depends(model_in_body(SearchBody))], api: TheApi) -> SearchResult:
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
    found = search(query, index=api.search_index, claims=api.claims, log_ids=api.log_ids, promotions=api.promotions)
    answer = found.answer
    return SearchResult(
        hits=[dict(hit) for hit in answer.hits],
        total=answer.total,
        aggs=dict(answer.aggs),
        cursor=answer.cursor,
        backend=found.backend,
        index_lag=found.index_lag,
        view=list(found.view),
        warning=found.warning,
    )
