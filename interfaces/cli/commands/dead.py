"""dead: what failed for good, and what to do about it."""

import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interfaces.cli import output
from interfaces.cli.stores import opened
from interfaces.cli.times import utc, written

if TYPE_CHECKING:
    from application.ports.dead_letters import DeadLetterFilter
    from application.use_cases.dead_letters import Chosen

app = typer.Typer(help="Look at dead letters, run them again, or discard them.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="[EVENT_ID]...", help="Events by id; or none, and a filter.")]
Pipeline = Annotated[str | None, typer.Option(help="Only of this pipeline.")]
Type = Annotated[str | None, typer.Option("--type", help="Only of this event type.")]
Kind = Annotated[str | None, typer.Option(help="Only of this kind of failure, as `dead groups` names it.")]
Since = Annotated[datetime | None, typer.Option(help="Died not before this time.")]
Until = Annotated[datetime | None, typer.Option(help="Died before this time.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it to all that fit, without asking.")]


@app.command("list")
def list_(
    pipeline: Pipeline = None,
    type_: Type = None,
    failure: Kind = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=1000)] = 20,
    as_json: Json = False,
) -> None:
    """List dead letters, the newest event first."""
    with opened() as container:
        letters = container.dead_letters().find(_filter(pipeline, type_, failure, since, until), limit=limit)
    rows = [
        {
            "event_id": letter.event.id,
            "pipeline": letter.context.pipeline,
            "failure": letter.context.failure or "",
            "died": written(letter.context.recorded_at),
            "type": letter.event.type,
            "subject": letter.event.subject,
            "position": letter.event.position,
        }
        for letter in letters
    ]
    if as_json:
        output.put_json(rows)
    elif rows:
        output.put_whole_columns(rows)
    else:
        output.say("no dead letter fits")


@app.command()
def groups(
    pipeline: Pipeline = None,
    type_: Type = None,
    failure: Kind = None,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """Count dead letters by pipeline and kind of failure, the largest group first."""
    with opened() as container:
        found = container.dead_letters().groups(_filter(pipeline, type_, failure, since, until))
    if as_json:
        output.put_json(found)
        return
    rows = [(each.count, each.pipeline, each.failure, written(each.first_at), written(each.last_at)) for each in found]
    output.put_table(("count", "pipeline", "failure", "first died", "last died"), rows)


@app.command()
def show(event_id: Annotated[str, typer.Argument(help="The event's id.")], as_json: Json = False) -> None:
    """Tell the biography of a dead letter's event."""
    from application.use_cases.dead_letters import get_dead_letter
    from interfaces.cli.commands.explain import explain

    with opened() as container:
        get_dead_letter(event_id, events=container.events(), dead_letters=container.dead_letters())
    explain(event_id, as_json)


@app.command()
def requeue(
    ids: Ids = None,
    pipeline: Pipeline = None,
    type_: Type = None,
    failure: Kind = None,
    since: Since = None,
    until: Until = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Run dead letters again, as if they had not run yet."""
    from application.use_cases import dead_letters as use_cases

    def decide(container: Any, chosen: "Chosen") -> Any:
        return use_cases.requeue(
            chosen,
            events=container.events(),
            dead_letters=container.dead_letters(),
            dispatcher=container.dispatcher(),
            registry=container.registry(),
            auditor=container.auditor(),
        )

    _decide("requeued", decide, ids, _filter(pipeline, type_, failure, since, until), yes=yes, as_json=as_json)


@app.command()
def discard(
    reason: Annotated[str, typer.Option(help="Why; it is kept with the event.")],
    ids: Ids = None,
    pipeline: Pipeline = None,
    type_: Type = None,
    failure: Kind = None,
    since: Since = None,
    until: Until = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """End dead letters for good."""
    from application.use_cases import dead_letters as use_cases

    def decide(container: Any, chosen: "Chosen") -> Any:
        return use_cases.discard(
            chosen,
            reason,
            events=container.events(),
            dead_letters=container.dead_letters(),
            auditor=container.auditor(),
        )

    _decide("discarded", decide, ids, _filter(pipeline, type_, failure, since, until), yes=yes, as_json=as_json)


def _filter(
    pipeline: str | None, type_: str | None, failure: str | None, since: datetime | None, until: datetime | None
) -> "DeadLetterFilter":
    from application.ports.dead_letters import DeadLetterFilter

    return DeadLetterFilter(pipeline=pipeline, type=type_, failure=failure, since=utc(since), until=utc(until))


def _decide(
    done: str,
    decide: Callable[[Any, "Chosen"], Any],
    ids: list[str] | None,
    wanted: "DeadLetterFilter",
    *,
    yes: bool,
    as_json: bool,
) -> None:
    from application.ports.dead_letters import DeadLetterFilter
    from application.use_cases.dead_letters import Chosen, count_dead_letters

    with opened() as container:
        if ids:
            chosen = Chosen(ids=ids, wanted=None if wanted == DeadLetterFilter() else wanted)
        else:
            count = count_dead_letters(wanted, dead_letters=container.dead_letters())
            _ask(count, done, yes=yes)
            chosen = Chosen(wanted=wanted, count=count)
        decided = decide(container, chosen)
    answer: Mapping[str, Any] = {"changed": len(decided.changed), "unchanged": list(decided.unchanged)}
    if as_json:
        output.put_json(answer)
        return
    output.say(f"{done}: {len(decided.changed):,}")
    for event_id in decided.unchanged:
        output.say(f"no dead letter (any more): {event_id}")


def _ask(count: int, done: str, *, yes: bool) -> None:
    """Say how many are meant, and go on only when that is confirmed."""
    output.say(f"{count:,} dead letters fit")
    if yes or not count:
        return
    if not sys.stdin.isatty():
        output.fail(f"to have all of them {done}, say --yes", output.BAD_USAGE)
    if not typer.confirm(f"all of them {done}?", err=True):
        raise typer.Exit(output.SOME_FAILED)
