"""keys: who may call over HTTP."""

from typing import Annotated, Any

import typer

from interfaces.cli import output
from interfaces.cli.stores import opened
from interfaces.cli.times import written

app = typer.Typer(help="Make, list and revoke keys of the HTTP API.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is called in logs and in the audit; used once, for ever.")],
    scopes: Annotated[
        list[str], typer.Option("--scope", help="events:write, events:read, replay or admin; may be repeated.")
    ],
) -> None:
    """Make a key. It alone is printed on standard output, now and never again."""
    from application.use_cases.keys import CreateKey, create_key

    with opened() as container:
        created = create_key(
            CreateKey(name=name, scopes=scopes),
            keys=container.api_keys(),
            auditor=container.auditor(),
            new_key_parts=container.new_key_parts(),
        )
    output.say(f"key {created.key.id} ({name}) may: {', '.join(created.key.scopes)}. It is shown this once:")
    output.put(created.text)


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the keys, the oldest first. Nobody can list their secrets."""
    with opened() as container:
        keys = container.api_keys().list()
    rows: list[dict[str, Any]] = [
        {
            "id": key.id,
            "name": key.name,
            "scopes": ", ".join(key.scopes),
            "created": written(key.created_at),
            "revoked": written(key.revoked_at) if key.revoked_at else "",
        }
        for key in keys
    ]
    if as_json:
        output.put_json([{**row, "scopes": list(key.scopes)} for row, key in zip(rows, keys, strict=True)])
    elif rows:
        output.put_whole_columns(rows)
    else:
        output.say("there is no key yet")


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="The key's id, as `keys list` has it.")]) -> None:
    """Let a key be good no longer: services refuse it within 5 s."""
    from application.use_cases.keys import revoke_key

    with opened() as container:
        key = revoke_key(key_id, keys=container.api_keys(), auditor=container.auditor())
    output.say(f"revoked: {key.id} ({key.name})")
