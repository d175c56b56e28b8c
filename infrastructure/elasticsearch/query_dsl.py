"""Conditions and aggregations in the query language of Elasticsearch, and its answers read back."""

from collections.abc import Mapping
from typing import Any

from application.ports.search_index import Aggregation, FieldType
from infrastructure.search.conditions import (
    All,
    AnyOf,
    Between,
    Condition,
    Either,
    Everything,
    Exists,
    Like,
    Not,
    Words,
)
from infrastructure.search.request import MAX_BUCKETS, Request, too_many_buckets
from infrastructure.search.values import TEXT, shown

_EVERY_PREFIX = 100_000
"""So many words may begin alike; Elasticsearch would look at 50 of them."""


def search_body(request: Request, fields: Mapping[str, FieldType]) -> dict[str, Any]:
    """The body of `_search`: one hit more than the page, exact total, aggregations named by their place."""
    direction = "desc" if request.descending else "asc"
    key = "_score" if request.sort is None else request.sort
    order: dict[str, Any] = {"order": direction}
    if request.sort is not None:
        order["missing"] = "_last"
    body: dict[str, Any] = {
        "query": {"bool": {"must": [query(request.asked, fields)], "filter": [query(request.filtered, fields)]}},
        "sort": [{key: order}, {"position": {"order": "desc"}}],
        "size": request.size + 1 if request.size else 0,
        "track_total_hits": True,
        "aggs": {f"a{at}": _aggregation(agg) for at, agg in enumerate(request.aggs.values())},
    }
    if request.after is not None:
        body["search_after"] = list(request.after)
    return body


def query(condition: Condition, fields: Mapping[str, FieldType]) -> dict[str, Any]:
    """A condition as a query."""
    match condition:
        case Everything() | All(()):
            return {"match_all": {}}
        case Words():
            return _words_query(condition)
        case Not(part):
            return {"bool": {"must_not": [query(part, fields)]}}
        case All(parts) | Either(parts):
            inner = [query(part, fields) for part in parts]
            must = isinstance(condition, All)
            return {"bool": {"must": inner} if must else {"should": inner, "minimum_should_match": 1}}
    return _field_query(condition, fields)


def _words_query(asked: Words) -> dict[str, Any]:
    if asked.prefix and len(asked.words) == 1:
        return {"prefix": {TEXT: {"value": asked.words[0]}}}
    # The words are split already: only blanks may split them.
    phrase: dict[str, Any] = {"query": " ".join(asked.words), "analyzer": "whitespace"}
    if asked.prefix:
        return {"match_phrase_prefix": {TEXT: {**phrase, "max_expansions": _EVERY_PREFIX}}}
    return {"match_phrase": {TEXT: phrase}}


def _field_query(condition: AnyOf | Between | Like | Exists, fields: Mapping[str, FieldType]) -> dict[str, Any]:
    match condition:
        case AnyOf(field, values):
            return {"terms": {field: list(values)}}
        case Between(field, low, high):
            limits: dict[str, Any] = {}
            if low is not None:
                limits["gt" if low.open else "gte"] = low.value
            if high is not None:
                limits["lt" if high.open else "lte"] = high.value
            form = {"format": "epoch_millis"} if fields[field] == "date" else {}
            return {"range": {field: limits | form}}
        case Like(field, pattern):
            return {"wildcard": {field: {"value": pattern}}}
    return {"exists": {"field": condition.field}}


def _aggregation(aggregation: Aggregation) -> dict[str, Any]:
    inner = {"aggs": {"stats": {"stats": {"field": aggregation.stats}}}} if aggregation.stats else {}
    match aggregation.kind:
        case "stats":
            return {"stats": {"field": aggregation.field}}
        case "terms":
            by = [{"_count": "desc"}, {"_key": "asc"}]
            return {"terms": {"field": aggregation.field, "size": aggregation.size, "order": by}, **inner}
    histogram = {"field": aggregation.field, "calendar_interval": aggregation.interval, "min_doc_count": 1}
    return {"date_histogram": histogram, **inner}


def read_aggregations(request: Request, answers: Mapping[str, Any], fields: Mapping[str, FieldType]) -> dict[str, Any]:
    """The answered aggregations under the names they were asked by.

    Raises:
        InvalidQuery: a date_histogram has too many buckets.
    """
    read: dict[str, Any] = {}
    for at, (name, aggregation) in enumerate(request.aggs.items()):
        answer = answers[f"a{at}"]
        if aggregation.kind == "stats":
            read[name] = _stats(answer)
            continue
        if aggregation.kind == "date_histogram" and len(answer["buckets"]) > MAX_BUCKETS:
            raise too_many_buckets(name)
        type_ = fields[aggregation.field]
        read[name] = {
            "buckets": [
                {
                    "key": shown(bucket["key"], type_),
                    "count": bucket["doc_count"],
                    **({"stats": _stats(bucket["stats"])} if aggregation.stats else {}),
                }
                for bucket in answer["buckets"]
            ]
        }
    return read


def _stats(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in ("count", "min", "max", "avg", "sum")}
