"""audit: who did what to the service."""

from dataclasses import asdict
from typing import Annotated

import typer

from interfaces.cli import output
from interfaces.cli.stores import opened
from interfaces.cli.times import written

app = typer.Typer(help="Look at the record of what operators did.", no_args_is_help=True)


@app.callback()
def _audit() -> None:
    """Look at the record of what operators did."""


@app.command("list")
def list_(
    action: Annotated[str | None, typer.Option(help="Only this action, or this family: keys has keys.create.")] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=10_000)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List who did what, the newest first."""
    from pydantic_core import to_json

    with opened() as container:
        entries = container.audit().read(action=action, limit=limit)
    if as_json:
        output.put_json([asdict(entry) for entry in entries])
        return
    rows = [
        (
            entry.position,
            written(entry.recorded_at),
            entry.actor,
            entry.action,
            entry.target,
            to_json(dict(entry.detail)).decode() if entry.detail else "",
        )
        for entry in entries
    ]
    output.put_table(("position", "when", "actor", "action", "target", "detail"), rows)
