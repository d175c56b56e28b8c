"""events: what is stored, and the biography of one event."""

from datetime import datetime
from typing import Annotated

import typer

from interfaces.cli import output
from interfaces.cli.commands.explain import explain
from interfaces.cli.statuses import Status, checked
from interfaces.cli.stores import opened
from interfaces.cli.times import utc, written

app = typer.Typer(help="Look at stored events.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(
    type_: Annotated[str | None, typer.Option("--type", help="Only of this type.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only of this subject.")] = None,
    status: Status = None,
    since: Annotated[datetime | None, typer.Option(help="Not before this time.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this time.")] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=1000)] = 20,
    as_json: Json = False,
) -> None:
    """List events, newest first."""
    from application.ports.task_states import EventFilter

    wanted = EventFilter(type=type_, subject=subject, status=checked(status), since=utc(since), until=utc(until))
    with opened() as container:
        listed = container.states().find(wanted, limit=limit)
    if as_json:
        output.put(
            "[" + ",\n ".join(f'{{"status":"{each.state.status}",{each.event.json[1:]}' for each in listed) + "]"
        )
        return
    if not listed:
        output.say("no event fits")
        return
    output.put_whole_columns(
        [
            {
                "position": str(each.event.position),
                "id": each.event.id,
                "type": each.event.type,
                "status": each.state.status,
                "time": written(each.event.time),
                "subject": each.event.subject,
            }
            for each in listed
        ]
    )


@app.command()
def show(
    event_id: Annotated[str, typer.Argument(help="The event's id, which is its task's as well.")],
    as_json: Json = False,
) -> None:
    """Tell an event's biography, as `playhead explain` does."""
    explain(event_id, as_json)
