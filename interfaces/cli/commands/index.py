"""index: the searchable projection."""

import time
from typing import Annotated

import typer

from interfaces.cli import output
from interfaces.cli.stores import opened

_PAUSE_SECONDS = 0.1
app = typer.Typer(help="Look after the search index.", no_args_is_help=True)


@app.command()
def rebuild() -> None:
    """Empty the index and fill it again from position 0."""
    from application.use_cases.results import INDEX, index_lag, rebuild_index

    with opened() as container:
        engine, claims = container.engine(), container.claims()
        claims.register(container.subscriptions().values())
        rebuild_index(
            index=container.search_index(),
            fields=container.fields(),
            claims=claims,
            log_ids=container.log_ids(),
            subscription=container.subscriptions()[INDEX],
            auditor=container.auditor(),
        )
        total = container.contexts().head()
        with output.progress("contexts read", total) as bar:
            while lag := index_lag(claims=claims):
                if not engine.turn(INDEX, seconds=1):
                    # A service that runs beside has claimed the rest.
                    time.sleep(_PAUSE_SECONDS)
                bar.to(total - min(total, lag))
            bar.to(total)


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Tell what the index holds, and how far it is behind."""
    from application.use_cases.results import index_lag, why_outdated

    with opened() as container:
        index = container.search_index()
        state = index.state()
        lag = index_lag(claims=container.claims())
        log_id, head = container.log_ids().of("task_contexts"), container.contexts().head()
    outdated = why_outdated(state, log_id=log_id, head=head)
    if as_json:
        shown = {"backend": index.backend, "name": state.name, "documents": state.documents, "index_lag": lag}
        output.put_json({**shown, "outdated": outdated})
    else:
        output.put_table(("backend", "name", "documents", "lag"), [(index.backend, state.name, state.documents, lag)])
        if outdated:
            output.say(outdated)
