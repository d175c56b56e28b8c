"""The generated pages, each read off the code that it describes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from infrastructure.settings import Settings
from interfaces.cli.main import app
from interfaces.cli.output import EXIT_CODES
from interfaces.http.openapi import document

ROOT = Path(__file__).resolve().parent.parent
_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "array": "names separated by commas",
    "object": "JSON object",
}
MADE = "Made by `scripts/reference`; change the code it is read off, not this page."


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
    lines = ["# Every setting with its type and default. Copy to .env and change what you need.", f"# {MADE}"]
    for name, type_, default, described in _settings():
        lines += ["", f"# {described}", f"# {type_}", f"#{name}={default}"]
    return "\n".join(lines) + "\n"


def settings() -> str:
    rows = [
        (f"`{name}`", type_, f"`{default}`" if default else "", described)
        for name, type_, default, described in _settings()
    ]
    intro = "Precedence: command-line flag, environment, `.env` in the working directory, default.\n"
    intro += "A wrong value stops the start, with its name. `playhead config show` tells each value and its origin."
    return _page("Settings", intro, _table(("setting", "type", "default", "what it is"), rows))


def commands() -> str:
    intro = "Data goes to standard output, everything else to standard error; `--json` is for machines.\n\n"
    intro += _table(("exit code", "meaning"), [(f"{code}", meaning) for code, meaning in EXIT_CODES.items()])
    parts = []
    for path, command in _commands(typer.main.get_command(app), ()):
        usage = " ".join(["playhead", *path, *(_usage(each) for each in command.params if _is_argument(each))])
        parts.append(f"## `{usage}`\n\n{command.help.strip()}")
        rows = [(_spelled(each), _described(each)) for each in command.params]
        if rows:
            parts.append(_table(("parameter", "what it is"), rows))
    return _page("Commands", intro, "\n\n".join(parts))


def api() -> str:
    described = json.loads(document())
    parts = []
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            parts.append(f"## `{method.upper()} {path}`\n\n{route.get('description', route['summary'])}")
            if scopes := [scope for needed in route["security"] for scope in needed["key"]]:
                parts.append(f"Needs the scope {', '.join(f'`{scope}`' for scope in scopes)}.")
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


def _settings() -> Iterator[tuple[str, str, str, str]]:
    """Name, type, default and description of every setting."""
    schema = Settings.model_json_schema()["properties"]
    for name, field in Settings.model_fields.items():
        yield name.upper(), _type(schema[name]), _default(field.default), field.description or ""


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(schema["enum"])
    word = {"path": "folder"}.get(schema.get("format", ""), _TYPES[schema["type"]])
    bounds = [f"{word} {schema[key]:g}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return " ".join([word, *bounds])


# The commands of typer are those of a click of its own; all of it is told by attributes.
def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "commands") or not path:
        yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*path, name))


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _usage(argument: Any) -> str:
    name = argument.name.upper()
    return name if argument.required else f"[{name}]"


def _spelled(parameter: Any) -> str:
    if _is_argument(parameter):
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{spelling}`" for spelling in (*parameter.opts, *parameter.secondary_opts))


def _described(parameter: Any) -> str:
    bounds = [
        f"{word} {value:,}" for word, value in (("from", parameter.min), ("to", parameter.max)) if value is not None
    ]
    described = f"{parameter.help} ({' '.join(bounds)})" if bounds else parameter.help
    return f"{described} Default: {parameter.default}." if parameter.default else described


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
