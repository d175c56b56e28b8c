"""index: the searchable projection."""

import math
from dataclasses import asdict
from typing import Annotated

import typer

from interfaces.cli import output
from interfaces.cli.stores import opened

_NAMED = 20
"""Differences that are named where people read; JSON has all."""
app = typer.Typer(help="Look after the search index.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def rebuild() -> None:
    """Build the index anew beside the present one, compare it with the store, and let it serve."""
    from application.use_cases.indices import rebuild_index
    from application.use_cases.results import catch_up

    with opened() as container:
        engine, claims = container.engine(), container.claims()
        claims.register(container.subscriptions().values())
        with output.progress("read", container.contexts().head()) as bar:
            rebuild_index(builder=container.index_builder(progress=bar.to), auditor=container.auditor())
        catch_up(engine, claims=claims, seconds=math.inf)


@app.command()
def verify(as_json: Json = False) -> None:
    """Compare the index with the store, document by document. Exit code 0: they agree, 1: they differ."""
    from domain.errors import NotFound

    with opened() as container:
        serving = [index for index in container.search_index().indices() if index.serves]
        if not serving:
            raise NotFound("There is no search index. Run: playhead index rebuild")
        with output.progress("events compared", container.events().head()) as bar:
            found = container.index_builder(progress=bar.to).verify(serving[0])
    documents = sum(partition.stored for partition in found.partitions)
    if as_json:
        output.put_json({**asdict(found), "documents": documents})
    elif found.differences:
        rows = [(difference.kind, difference.event_id) for difference in found.differences]
        output.put_table(("document", "event_id"), rows[:_NAMED], title=f"{found.index}: {len(rows):,} differ")
        if len(rows) > _NAMED:
            output.say(f"and {len(rows) - _NAMED:,} more: --json names them")
        output.say("mend it with: playhead index rebuild")
    else:
        partitions = len(found.partitions)
        output.say(f"{found.index}: {documents:,} documents in {partitions:,} partitions are as the store says")
    if found.differences:
        raise typer.Exit(output.SOME_FAILED)


@app.command()
def status(as_json: Json = False) -> None:
    """Tell what the indices hold, and how far the one that serves is behind."""
    from application.use_cases.results import index_lag, why_outdated

    with opened() as container:
        index = container.search_index()
        state = index.state()
        lag = index_lag(claims=container.claims())
        log_id, head = container.log_ids().of("task_contexts"), container.contexts().head()
        others = [(each, index.state(each)) for each in index.indices() if not each.serves]
    outdated = why_outdated(state, log_id=log_id, head=head)
    if as_json:
        view = state.label.view if state.label else ()
        shown = {"backend": index.backend, "name": state.name, "documents": state.documents, "index_lag": lag}
        beside = [
            {"name": each.name, "documents": held.documents, "view": each.label and each.label.view,
             "whole": each.label is not None and each.label.whole}
            for each, held in others
        ]  # fmt: skip
        output.put_json({**shown, "view": view, "outdated": outdated, "beside": beside})
        return
    rows = [(index.backend, state.name, state.documents, str(lag), "serves")]
    rows += [(index.backend, each.name, held.documents, "", "stands beside") for each, held in others]
    output.put_table(("backend", "name", "documents", "lag", ""), rows)
    if outdated:
        output.say(outdated)
