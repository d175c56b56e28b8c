"""schema: whether the code at hand reads what is stored."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from interfaces.cli import output
from interfaces.cli.stores import opened

app = typer.Typer(help="Look at the schemas of what is stored.", no_args_is_help=True)


@app.callback()
def _schema() -> None:
    """Look at the schemas of what is stored."""


@app.command()
def check(
    sample: Annotated[
        int | None, typer.Option(help="Events that are read of each type and version; 100 unless told.", min=2)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Read every event.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="A type that no pipeline accepts is a failure too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read a sample of every stored type and version by this code, upcasters included. 1 where some cannot be read."""
    from application.use_cases.schemas import SAMPLE, check_schemas
    from domain.errors import InvalidRequest

    if everything and sample is not None:
        raise InvalidRequest("--sample and --all: say one of them.")
    with opened() as container:
        found = check_schemas(
            sample=None if everything else sample or SAMPLE, events=container.events(), registry=container.registry()
        )
    failing = [each for each in found if each.failing]
    without = [each for each in found if each.pipeline is None]
    ok = not failing and not (strict and without)
    if as_json:
        output.put_json({"ok": ok, "shapes": [asdict(each) for each in found]})
    elif found:
        _put(found)
    else:
        output.say("no event is stored")
    for each in without:
        output.say(f"no pipeline accepts {each.type!r} today; its {each.stored:,} events were not read")
    if not ok:
        raise typer.Exit(output.SOME_FAILED)


def _put(found: Any) -> None:
    rows = [(each.type, each.schema_version, each.pipeline, each.stored, each.checked, each.failing) for each in found]
    output.put_table(("type", "version", "pipeline", "stored", "read", "failing"), rows)
    failures = [
        (each.type, each.schema_version, each.first.event_id, each.first.pointer, each.first.message)
        for each in found
        if each.first is not None
    ]
    if failures:
        output.put_table(("type", "version", "event_id", "place", "why"), failures)
