"""The commands of `playhead`. What a command needs is imported when it runs, so that `--help` is quick."""

import sys
import traceback
from contextlib import suppress
from typing import Annotated

import typer

from domain.errors import InvalidRequest, PlayheadError
from interfaces.cli import output
from interfaces.cli.commands import (
    audit,
    corpus,
    dead,
    effects,
    events,
    explain,
    index,
    keys,
    operations,
    pipelines,
    replay_runs,
    replays,
    run,
    schedules,
    schema,
    search,
    sending,
    step,
    verify,
)

app = typer.Typer(
    name="playhead",
    help="Post an event; it is stored for ever, a pipeline runs over it, the result is searchable, the past replays.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for commands in (run.app, sending.app, explain.app, step.app, search.app, verify.app, operations.app):
    app.registered_commands += commands.registered_commands
replays.app.registered_commands += replay_runs.app.registered_commands
for name, group in (
    ("events", events.app),
    ("dead", dead.app),
    ("effects", effects.app),
    ("replay", replays.app),
    ("index", index.app),
    ("pipelines", pipelines.app),
    ("schedules", schedules.app),
    ("schema", schema.app),
    ("corpus", corpus.app),
    ("keys", keys.app),
    ("audit", audit.app),
    ("db", operations.db),
    ("config", operations.config),
):
    app.add_typer(group, name=name)


@app.callback()
def options(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print the stack trace of an error.")] = False,
) -> None:
    """Options of every command."""
    context.obj = {"debug": debug}
    if version:
        _print_version()
        raise typer.Exit


def main() -> None:
    """Run the command line; every error is one sentence and an exit code."""
    if sys.argv[1:] == ["--version"]:
        _print_version()
        return
    try:
        _require_text(sys.argv[1:])
        try:
            app(prog_name="playhead")
        finally:
            sys.stdout.flush()
    except PlayheadError as error:
        if "--debug" in sys.argv:
            output.say(traceback.format_exc())
        output.say(f"playhead: {error.detail}")
        sys.exit(output.exit_code_of(error))
    except BrokenPipeError:
        with suppress(typer.Exit):
            output.read_enough()
    except Exception:  # noqa: BLE001  # a defect: its stack trace is wanted, and any secret in it is not
        output.say(traceback.format_exc())
        sys.exit(output.SOME_FAILED)


def _require_text(arguments: list[str]) -> None:
    try:
        " ".join(arguments).encode()
    except UnicodeEncodeError:
        raise InvalidRequest("An argument is not UTF-8.") from None


def _print_version() -> None:
    from importlib.metadata import version

    output.put(version("playhead"))


if __name__ == "__main__":
    main()
