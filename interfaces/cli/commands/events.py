"""events: what is stored, and the biography of one event."""

from datetime import datetime
from typing import Annotated, Any

import typer

from interfaces.cli import output
from interfaces.cli.commands.explain import explain
from interfaces.cli.statuses import Status, checked
from interfaces.cli.stores import opened
from interfaces.cli.times import position_or_time, utc, written

app = typer.Typer(help="Look at stored events.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(
    type_: Annotated[str | None, typer.Option("--type", help="Only of this type.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only of this subject.")] = None,
    status: Status = None,
    since: Annotated[datetime | None, typer.Option(help="Not before this time.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this time.")] = None,
    as_of: Annotated[
        str | None, typer.Option(help="As it was at this position of the log of events, or at this time.")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=1000)] = 20,
    as_json: Json = False,
) -> None:
    """List events, newest first. In the past, `open` is what had not ended."""
    from application.ports.task_states import EventFilter

    wanted = EventFilter(type=type_, subject=subject, status=checked(status), since=utc(since), until=utc(until))
    with opened() as container:
        if as_of is None:
            listed = [(each.event, each.state.status) for each in container.states().find(wanted, limit=limit)]
        else:
            listed = _listed_as_of(container, wanted, as_of, limit)
    if as_json:
        output.put("[" + ",\n ".join(f'{{"status":"{status}",{event.json[1:]}' for event, status in listed) + "]")
        return
    if not listed:
        output.say("no event fits")
        return
    output.put_whole_columns(
        [
            {
                "position": str(event.position),
                "id": event.id,
                "type": event.type,
                "status": status,
                "time": written(event.time),
                "subject": event.subject,
            }
            for event, status in listed
        ]
    )


def _listed_as_of(container: Any, wanted: Any, as_of: str, limit: int) -> list[Any]:
    from dataclasses import replace

    from application.use_cases.time_travel import list_events_as_of, moment_of

    ports = {"events": container.events(), "contexts": container.contexts(), "promotions": container.promotions()}
    moment = moment_of(position_or_time(as_of), "events", **ports)
    past = list_events_as_of(
        replace(wanted, last=moment.events),
        moment,
        limit=limit,
        states=container.states(),
        contexts=container.contexts(),
    )
    return [(each.event, each.status) for each in past]


@app.command()
def show(
    event_id: Annotated[str, typer.Argument(help="The event's id, which is its task's as well.")],
    as_json: Json = False,
) -> None:
    """Tell an event's biography, as `playhead explain` does."""
    explain(event_id, as_json)
