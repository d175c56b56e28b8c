"""db, doctor, config: looking after an installation."""

import os
from dataclasses import asdict
from typing import Annotated

import typer

from interfaces.cli import output
from interfaces.cli.stores import container_of, opened, settings_of

app = typer.Typer()
db = typer.Typer(help="Look after the database.", no_args_is_help=True)
config = typer.Typer(help="Look at the settings.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@db.callback()
def _db() -> None:
    """Look after the database."""


@db.command()
def upgrade() -> None:
    """Run the migrations that are missing."""
    from application.use_cases.operations import upgrade_database

    with opened(migrated=False) as container:
        before, after = upgrade_database(upgrade=container.store().upgrade, auditor=container.auditor())
    output.say(
        f"the database is up to date, at {after}" if before == after else f"upgraded from {before or 'none'} to {after}"
    )


@db.command()
def restored(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, as_json: Json = False) -> None:
    """Say that an older state of the database was put back: both logs get new ids, so that followers notice."""
    from datetime import UTC, datetime

    from application.use_cases.restoring import MarkRestored, mark_restored
    from application.use_cases.sealing import LOGS
    from infrastructure.settings import typed

    if not yes:
        typer.confirm("Was an older state of this database restored, and is the service stopped?", abort=True, err=True)
    with opened() as container:
        made = mark_restored(
            MarkRestored(ids={log: container.new_id() for log in LOGS}, at=datetime.now(UTC)),
            seals=container.seals(),
            log_ids=container.log_ids(),
            anchor=container.anchor(),
            auditor=container.auditor(),
        )
    if as_json:
        output.put_json([asdict(restore) for restore in made])
    else:
        rows = [(restore.log, restore.position, restore.previous_id, restore.log_id) for restore in made]
        output.put_table(("log", "head", "id before", "id now"), rows)
    output.say(f"next: {typed('index rebuild')}, then {typed('verify')}, then start the service")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Look at each component: what is right, else what to do."""
    container = container_of(log_level="error")
    checks = container.checks().thorough()
    container.store().close()
    if as_json:
        output.put_json(list(checks))
    else:
        rows = [(check.name, "ok" if check.ok else "NOT OK", check.detail, check.fix) for check in checks]
        output.put_table(("component", "verdict", "seen", "what to do"), rows)
    if not all(check.ok for check in checks):
        raise typer.Exit(output.NOT_CONFIGURED)


@config.callback()
def _config() -> None:
    """Look at the settings."""


@config.command()
def show(as_json: Json = False) -> None:
    """Show every setting, its value and its origin. Secrets are covered."""
    from infrastructure.settings import origin_of

    settings = settings_of()
    rows = [
        {"name": name, "value": value, "origin": origin_of(name, os.environ)}
        for name, value in settings.masked().items()
    ]
    if as_json:
        output.put_json(rows)
    else:
        output.put_table(("setting", "value", "origin"), [tuple(map(str, row.values())) for row in rows])
