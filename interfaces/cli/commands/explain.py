"""explain: the biography of one event."""

from typing import Annotated

import typer

from interfaces.cli import output
from interfaces.cli.stores import opened

app = typer.Typer()


@app.command()
def explain(
    event: Annotated[str, typer.Argument(help="The event's id, which is its task's as well.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell an event's biography: how it came, each run node by node, what was decided, what it caused."""
    from interfaces.cli.biography import put_biography

    with opened() as container:
        biography = container.biography(event)
    if as_json:
        output.put(biography.json)
    else:
        put_biography(biography)
