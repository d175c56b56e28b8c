"""search: the results, from the index."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from interfaces.cli import output
from interfaces.cli.stores import opened

app = typer.Typer()


@app.command()
def search(
    q: Annotated[str, typer.Argument(help="What to find: words, field:value, field:[a TO b], AND, OR, NOT.")] = "",
    filters: Annotated[list[str] | None, typer.Option("--filter", help="field=value; may be repeated.")] = None,
    sort: Annotated[str | None, typer.Option(help="A field; with - before it descending.")] = None,
    size: Annotated[int, typer.Option(help="How many results.", min=0, max=1000)] = 10,
    cursor: Annotated[str | None, typer.Option(help="Continue an earlier answer.")] = None,
    aggs: Annotated[
        list[str] | None,
        typer.Option("--agg", help="terms:F, terms:F:STATS-FIELD, date_histogram:F:INTERVAL, stats:F."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")] = False,
) -> None:
    """Search the results."""
    from application.ports.search_index import SearchQuery
    from application.use_cases.results import search as find

    query = SearchQuery(
        q=q,
        filters=_filters(filters or []),
        sort=sort,
        size=size,
        cursor=cursor,
        aggs={text: _aggregation(text) for text in aggs or []},
    )
    with opened() as container:
        found = find(
            query,
            index=container.search_index(),
            claims=container.claims(),
            log_ids=container.log_ids(),
            promotions=container.promotions(),
        )
    answer = found.answer
    if as_json:
        output.put_json(
            {
                "hits": answer.hits,
                "total": answer.total,
                "aggs": answer.aggs,
                "cursor": answer.cursor,
                "backend": found.backend,
                "index_lag": found.index_lag,
                "view": found.view,
                "warning": found.warning,
            }
        )
        return
    if answer.hits:
        put_hits(answer.hits, first=("event_id", (sort or "").removeprefix("-")))
    for name, agg in answer.aggs.items():
        put_aggregation(name, agg)
    shown = f"replay {found.view[0]} is promoted; " if found.view else ""
    output.say(f"{answer.total:,} found by {found.backend}; {shown}the index is {found.index_lag:,} contexts behind")
    if found.warning:
        output.say(found.warning)
    if answer.cursor:
        output.say(f"more: --cursor {answer.cursor}")


def put_hits(hits: Any, *, first: Sequence[str] = ()) -> None:
    """Results as a table of whole columns, those named before the others."""
    hidden = {"position", "source", "generation", "pipeline"}
    names = list(dict.fromkeys(name for hit in hits for name in hit if name not in hidden))
    names.sort(key=lambda name: first.index(name) if name in first else len(first))
    output.put_whole_columns([{name: _plain(hit.get(name)) for name in names} for hit in hits])


def _plain(value: Any) -> Any:
    # A number of a document may be a name: a flight's, a year.
    return str(value) if isinstance(value, int) else value


def put_aggregation(name: str, agg: Any) -> None:
    """An aggregation as a table."""
    if "buckets" not in agg:
        output.put_table(list(agg), [[_rounded(value) for value in agg.values()]], title=name)
        return
    stats = list(next((bucket["stats"] for bucket in agg["buckets"] if "stats" in bucket), {}))
    rows = [
        [bucket["key"], bucket["count"], *(_rounded(bucket["stats"][stat]) for stat in stats)]
        for bucket in agg["buckets"]
    ]
    output.put_table(["key", "count", *(stat if stat != "count" else "values" for stat in stats)], rows, title=name)


def _rounded(value: Any) -> Any:
    return round(value, 2) if isinstance(value, float) else value


def _filters(texts: list[str]) -> dict[str, Any]:
    from domain.errors import InvalidQuery

    filters: dict[str, Any] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise InvalidQuery(f"--filter {text!r}: write field=value.")
        filters.setdefault(name, []).append(value)
    return filters


def _aggregation(text: str) -> Any:
    from application.ports.search_index import Aggregation
    from domain.errors import InvalidQuery

    kind, *rest = text.split(":")
    if kind == "terms" and len(rest) in {1, 2}:
        return Aggregation(kind="terms", field=rest[0], stats=rest[1] if len(rest) > 1 else None)
    if kind == "date_histogram" and len(rest) in {1, 2}:
        return Aggregation(kind="date_histogram", field=rest[0], interval=rest[1] if len(rest) > 1 else "day")  # type: ignore[arg-type]  # the index refuses others by name
    if kind == "stats" and len(rest) == 1:
        return Aggregation(kind="stats", field=rest[0])
    raise InvalidQuery(
        f"--agg {text!r}: write terms:FIELD, terms:FIELD:STATS, date_histogram:FIELD:INTERVAL or stats:FIELD."
    )
