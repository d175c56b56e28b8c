"""send: events from a file to a service."""

from contextlib import closing
from typing import Annotated

import typer

from interfaces.cli import output
from interfaces.cli.stores import settings_of

app = typer.Typer()


@app.command()
def send(
    file: Annotated[str, typer.Argument(help="A file of NDJSON, plain or .gz; - for standard input.")],
    url: Annotated[str | None, typer.Option(help="The service; default the local one.")] = None,
    not_before: Annotated[str | None, typer.Option(help="An RFC 3339 time before which the events do not run.")] = None,
    new: Annotated[bool, typer.Option("--new", help="Send without keys: sent again, they are stored again.")] = False,
    key: Annotated[
        str | None, typer.Option(help="The key to show; better PLAYHEAD_API_KEY, which other users cannot see.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Send events in batches. Interrupted, simply send again: what was taken is not taken twice."""
    from domain.errors import InvalidRequest
    from domain.events import parse_time
    from interfaces.cli.client import Client
    from interfaces.cli.feeding import feed, read_lines

    if not_before is not None:
        try:
            parse_time(not_before)
        except ValueError as error:
            raise InvalidRequest(f"--not-before: {error}") from None
    settings = settings_of(playhead_api_key=key)
    lines = read_lines(file)
    with (
        closing(Client(url or f"http://{settings.host}:{settings.port}", settings.playhead_api_key)) as client,
        output.progress("lines sent", len(lines)) as bar,
    ):
        summary = feed(lines, client, keyed=not new, not_before=not_before, progress=bar.to, wait=_wait)
    if as_json:
        reasons = [{"line": line, "reason": reason} for line, reason in summary.reasons]
        output.put_json(
            {
                "taken": summary.taken,
                "repeated": summary.repeated,
                "refused": summary.refused,
                "first_refusals": reasons,
            }
        )
    else:
        output.put_table(("taken", "repeated", "refused"), [(summary.taken, summary.repeated, summary.refused)])
        for line, reason in summary.reasons:
            output.say(f"line {line}: {reason}")
        if summary.refused > len(summary.reasons):
            output.say(f"and {summary.refused - len(summary.reasons):,} more")
    if summary.refused:
        raise typer.Exit(output.SOME_FAILED)


def _wait(seconds: float) -> None:
    """Wait as an overloaded service asks."""
    import time

    output.say(f"too many events wait there; sending again in {seconds:.0f} s")
    time.sleep(seconds)
