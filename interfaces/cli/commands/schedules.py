"""schedules: what the clock sends."""

from typing import Annotated

import typer

from interfaces.cli import output
from interfaces.cli.stores import opened
from interfaces.cli.times import written

app = typer.Typer(help="Look at what the clock sends.", no_args_is_help=True)


@app.callback()
def _schedules() -> None:
    """Look at what the clock sends."""


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the schedules of the loaded pipelines, with their last and their next slot."""
    from application.use_cases.schedules import list_schedules

    with opened() as container:
        found = list_schedules(registry=container.registry(), slots=container.slots(), events=container.events())
    if as_json:
        output.put_json(found)
    elif not found:
        output.say("no loaded pipeline has a schedule")
    else:
        rows = [
            (
                each.schedule.name,
                each.pipeline,
                f"{each.schedule.cron} {each.schedule.timezone}",
                each.schedule.missed,
                written(each.last) if each.last else "never",
                written(each.next),
            )
            for each in found
        ]
        output.put_table(("schedule", "pipeline", "cron", "missed", "last slot", "next slot"), rows)
