"""events: what is stored, and the biography of one event."""

from datetime import datetime
from typing import Annotated, Any

import typer

from interfaces.cli import output
from interfaces.cli.commands.effects import put_state
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
    """Tell an event's biography: what came in, each run, what it caused."""
    with opened() as container:
        biography = container.biography(event_id)
    if as_json:
        output.put(biography.json)
    else:
        put_biography(biography)


def put_biography(biography: Any) -> None:
    """A biography for people."""
    event, task = biography.event, biography.task
    output.put(f"event {event.id}  {task.status}")
    facts = {
        "type": event.type,
        "source": event.source,
        "subject": event.subject,
        "time": written(event.time),
        "recorded": f"{written(event.recorded_at)} at position {event.position:,}",
        "pipeline": event.route or "none: unrouted",
        "caused by": event.cause,
        "data": event.data if len(event.data) < 400 else event.data[:400] + "…",
    }
    for name, value in facts.items():
        if value:
            output.put(f"  {name:10} {value}")
    if task.due_at is not None:
        output.put(f"  {'due':10} {written(task.due_at)}")
    for attempt in biography.attempts:
        _put_attempt(attempt)
    for follow_up in biography.follow_ups:
        output.put(f"\nfollow-up {follow_up.event_id}  {follow_up.type}  {follow_up.status}")
    if biography.effects:
        output.put("")
    for effect in biography.effects:
        put_state(effect)
    output.put(f"\nindex: {biography.index}")


def _put_attempt(attempt: Any) -> None:
    run = attempt.context.run
    generation = "live" if run.generation == 0 else f"replay {run.generation}"
    took = sum(run.seconds.values()) * 1000
    output.put(f"\nattempt {run.attempt} ({generation}, {run.pipeline}): {run.status} in {took:.2f} ms")
    for node, seconds in run.seconds.items():
        made = attempt.context.outputs.get(node)
        effects = [effect.kind for effect in attempt.context.effects if effect.node == node]
        result = f"  → {made!r}" if node in attempt.context.outputs else ""
        declared = f"  declares {', '.join(effects)}" if effects else ""
        output.put(f"  {node:24} {seconds * 1000:8.2f} ms{result}{declared}")
    if run.failure is not None:
        where = f" at {run.failure.where}" if run.failure.where else ""
        node = f" in node {run.failure.node}" if run.failure.node else ""
        output.put(f"  failed{node}: {run.failure.type}: {run.failure.message}{where}")
