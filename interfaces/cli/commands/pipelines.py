"""pipelines: what is loaded, and trying one out."""

from typing import Annotated, Any

import typer

from interfaces.cli import output
from interfaces.cli.stores import container_of, opened

app = typer.Typer(help="Look at the loaded pipelines.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Stopped = Annotated[str, typer.Argument(help="A pipeline; or one of its lanes, `index` or `follow-ups`.")]
Name = Annotated[str, typer.Argument(help="The pipeline's name.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the pipelines that this installation loads."""
    container = container_of(log_level="warning")
    fingerprints = container.fingerprints()
    rows = [
        {
            "name": pipeline.name,
            "accepts": list(pipeline.accepts),
            "nodes": [node.name for node in pipeline.nodes],
            "fingerprint": fingerprints[pipeline.name],
        }
        for pipeline in container.registry()
    ]
    if as_json:
        output.put_json(rows)
    else:
        table = [(row["name"], ", ".join(row["accepts"]), " → ".join(row["nodes"]), row["fingerprint"]) for row in rows]
        output.put_table(("pipeline", "accepts", "nodes", "fingerprint"), table)


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show a pipeline: its types with their fields, its nodes, its documents."""
    container = container_of(log_level="warning")
    pipeline = container.registry().named(name)
    model = pipeline.document_model
    shown: dict[str, Any] = {
        "name": pipeline.name,
        "accepts": {
            type_: {"version": schema.version, "schema": schema.model.model_json_schema()}
            for type_, schema in pipeline.schemas.items()
        },
        "nodes": [node.name for node in pipeline.nodes],
        "document": model.model_json_schema() if model else None,
        "retry": pipeline.retry,
        "fingerprint": container.fingerprints()[name],
    }
    if as_json:
        output.put_json(shown)
        return
    output.put(f"{name}  fingerprint {shown['fingerprint']}")
    for type_, schema in shown["accepts"].items():
        properties = schema["schema"].get("properties", {})
        output.put_table(
            ("field", "type", "required"),
            [
                (field, _type(what), "yes" if field in schema["schema"].get("required", ()) else "")
                for field, what in properties.items()
            ],
            title=f"{type_} (version {schema['version']})",
        )
    output.put(f"nodes: {' → '.join(shown['nodes'])}")
    if model:
        output.put(f"document: {', '.join(model.model_fields)}")


@app.command()
def run(
    name: Name,
    file: Annotated[str, typer.Argument(help="NDJSON of events in the plain form, also .gz; - for standard input.")],
) -> None:
    """Run a pipeline over a file of events. Prints the contexts as JSON lines, and stores nothing."""
    from application.use_cases.processing import try_out
    from domain.errors import PlayheadError
    from interfaces.cli.feeding import read_lines

    container = container_of(log_level="warning")
    pipeline = container.registry().named(name)
    failed = 0
    for number, line in enumerate(read_lines(file), 1):
        if not line.strip():
            continue
        try:
            context = try_out(pipeline, line.decode(errors="replace"), position=number)
        except PlayheadError as error:
            failed += 1
            output.say(f"line {number}: {error.detail}")
        else:
            output.put(context.json)
    if failed:
        raise typer.Exit(output.SOME_FAILED)


@app.command()
def pause(name: Stopped) -> None:
    """Let nothing of a pipeline be worked any more; what runs is worked to its end, and events go on coming in."""
    from application.use_cases import controls
    from infrastructure.settings import typed

    with opened() as container:
        names = controls.pause(name, controls=container.controls(), auditor=container.auditor())
    output.say(f"paused: {', '.join(names)}; go on with: {typed(f'pipelines resume {name}')}")


@app.command()
def resume(name: Stopped) -> None:
    """Let a paused pipeline be worked again."""
    from application.use_cases import controls

    with opened() as container:
        names = controls.resume(
            name, controls=container.controls(), dispatcher=container.dispatcher(), auditor=container.auditor()
        )
    output.say(f"resumed: {', '.join(names)}")


@app.command()
def adopt(
    old: Annotated[str, typer.Argument(help="The pipeline that is loaded no longer.")],
    new: Annotated[str, typer.Argument(help="The loaded pipeline that ends its events.")],
) -> None:
    """Hand a renamed pipeline's events, as far as they have not ended, to the one with the new name."""
    from application.use_cases import controls

    with opened() as container:
        moved = controls.adopt(
            controls.AdoptPipeline(old=old, new=new),
            subscriptions=list(container.subscriptions().values()),
            registry=container.registry(),
            claims=container.claims(),
            controls=container.controls(),
            events=container.events(),
            dispatcher=container.dispatcher(),
            auditor=container.auditor(),
        )
    output.say(f"{moved:,} events of {old} are {new}'s now")


def _type(what: dict[str, Any]) -> str:
    if "anyOf" in what:
        return " or ".join(_type(each) for each in what["anyOf"])
    return str(what.get("format") or what.get("type") or what.get("$ref", "").rsplit("/", 1)[-1] or "any")
