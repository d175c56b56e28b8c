"""The generated pages, each read off the code that it describes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import typer.main

from infrastructure.settings import Settings
from interfaces.cli.main import app
from interfaces.http.openapi import document

ROOT = Path(__file__).resolve().parent.parent
MADE = "Made by `scripts/reference`; change the code it is read off, not this page."
EXIT_CODES = (
    "Exit codes: 0 done, 1 ran and some failed, 2 bad usage, 3 not found, 4 configuration or connection, "
    "130 interrupted."
)


def pages() -> dict[str, str]:
    """Every generated page by its path in the project."""
    return {
        ".env.example": env_example(),
        "docs/reference/settings.md": settings(),
        "docs/reference/cli.md": commands(),
        "docs/reference/api.md": api(),
        "docs/openapi.json": document(),
    }


def env_example() -> str:
    lines = ["# Every setting with its default. Copy to .env and change what you need.", f"# {MADE}"]
    for name, field in Settings.model_fields.items():
        lines += ["", f"# {field.description}", f"#{name.upper()}={_default(field.default)}"]
    return "\n".join(lines) + "\n"


def settings() -> str:
    rows = [
        (f"`{name.upper()}`", f"`{_default(field.default)}`" if _default(field.default) else "", field.description)
        for name, field in Settings.model_fields.items()
    ]
    intro = "Precedence: command-line flag, environment, `.env` in the working directory, default."
    intro += "\nA wrong value stops the start, with its name."
    return _page("Settings", intro, _table(("setting", "default", "what it is"), rows))


def commands() -> str:
    parts = []
    for path, command in _commands(typer.main.get_command(app), ()):
        usage = " ".join(
            ["playhead", *path, *(_usage(each) for each in command.params if isinstance(each, click.Argument))]
        )
        parts.append(f"## `{usage}`\n\n{(command.help or '').strip()}")
        rows = [(_spelled(each), _described(each)) for each in command.params if each.name != "help"]
        if rows:
            parts.append(_table(("parameter", "what it is"), rows))
    return _page("Commands", EXIT_CODES, "\n\n".join(parts))


def api() -> str:
    described = json.loads(document())
    parts = []
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            parts.append(f"## `{method.upper()} {path}`\n\n{route.get('description', route['summary'])}")
            parameters = [
                (f"`{each['name']}`", each["in"], "yes" if each.get("required") else "", each.get("description", ""))
                for each in route.get("parameters", ())
            ]
            if parameters:
                parts.append(_table(("parameter", "in", "required", "what it is"), parameters))
            if "requestBody" in route:
                parts.append("Body: " + ", ".join(f"`{media}`" for media in route["requestBody"]["content"]) + ".")
            answers = [(status, answer.get("description", "")) for status, answer in route["responses"].items()]
            parts.append(_table(("status", "meaning"), answers))
    return _page(
        "HTTP",
        "Errors are problem documents (RFC 9457); the whole document is [openapi.json](../openapi.json).",
        "\n\n".join(parts),
    )


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if path:
        yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*path, name))


def _usage(argument: click.Argument) -> str:
    name = str(argument.name).upper()
    return name if argument.required else f"[{name}]"


def _spelled(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Argument):
        return f"`{str(parameter.name).upper()}`"
    return ", ".join(f"`{spelling}`" for spelling in (*parameter.opts, *parameter.secondary_opts))


def _described(parameter: click.Parameter) -> str:
    described = getattr(parameter, "help", None) or ""
    default = parameter.default
    shown = default not in {None, False, ""} and not callable(default) and default != []
    return f"{described} Default: {default}." if shown and isinstance(default, str | int | float) else described


def _default(default: Any) -> str:
    if isinstance(default, dict):
        return json.dumps(default)
    return ",".join(default) if isinstance(default, tuple) else str(default)


def _page(title: str, intro: str, body: str) -> str:
    return f"# {title}\n\n<!-- {MADE} -->\n\n{intro}\n\n{body}\n"


def _table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    def line(cells: tuple[Any, ...]) -> str:
        return "| " + " | ".join(" ".join(str(cell).replace("|", "\\|").split()) for cell in cells) + " |"

    return "\n".join([line(columns), "|" + "---|" * len(columns), *map(line, rows)])


if __name__ == "__main__":
    for path, text in pages().items():
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        print(path)
