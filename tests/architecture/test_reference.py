"""The generated pages say what the code says, row by row."""

import importlib.util
import json
from pathlib import Path

import pytest
import typer.main

from infrastructure.settings import Settings
from interfaces.cli import output
from interfaces.cli.main import app
from interfaces.http.openapi import document

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    ".env.example",
    "docs/reference/settings.md",
    "docs/reference/cli.md",
    "docs/reference/api.md",
    "docs/openapi.json",
)


def written(page: str) -> str:
    return (ROOT / page).read_text()


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("reference_pages", ROOT / "scripts/reference_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pages: dict[str, str] = module.pages()
    return pages


def sections(page: str) -> dict[str, str]:
    """The text below each heading of a page."""
    return {head: text for head, _, text in (part.partition("\n") for part in written(page).split("\n## ")[1:])}


def test_every_generated_page_is_compared_here(made: dict[str, str]) -> None:
    assert set(made) == set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_a_generated_page_says_what_the_code_says(page: str, made: dict[str, str]) -> None:
    assert written(page).splitlines() == made[page].splitlines(), f"{page} is stale. Run: ./scripts/reference"


def test_every_setting_has_a_row_with_its_default_and_what_it_is() -> None:
    rows = {line.split("`")[1]: line for line in written("docs/reference/settings.md").splitlines() if "| `" in line}

    assert set(rows) == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        assert field.description
        assert str(field.description).replace("|", "\\|") in rows[name.upper()]
        if isinstance(field.default, int | float | str) and field.default:
            assert f"`{field.default}`" in rows[name.upper()]


def test_the_example_of_an_environment_sets_nothing_and_would_set_every_default() -> None:
    lines = written(".env.example").splitlines()

    assert [line for line in lines if line and not line.startswith("#")] == []
    assigned = dict(line[1:].split("=", 1) for line in lines if "=" in line and line[1:2].isupper())
    values = {name.lower(): value for name, value in assigned.items()}
    assert set(values) == set(Settings.model_fields)
    assert Settings.model_validate(values).model_dump() == Settings.model_construct().model_dump()


def test_every_command_has_a_section_with_every_argument_and_option() -> None:
    found = sections("docs/reference/cli.md")
    commands = dict(walk(typer.main.get_command(app), "playhead"))
    headings = {" ".join(word for word in head.strip("`").split() if not word.strip("[]").isupper()) for head in found}

    assert headings == set(commands)
    for head, text in found.items():
        name = " ".join(word for word in head.strip("`").split() if not word.strip("[]").isupper())
        for parameter in commands[name].params:
            spelled = parameter.name.upper() if parameter.param_type_name == "argument" else parameter.opts[0]
            [row] = [line for line in text.splitlines() if line.startswith("| ") and f"`{spelled}`" in line]
            assert parameter.help, f"{name} {spelled} says nothing of itself"
            assert parameter.help.split("|")[0] in row


def walk(command, name):
    if not hasattr(command, "commands") or name == "playhead":
        yield name, command
    for word, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, f"{name} {word}")


def test_every_exit_code_has_a_row() -> None:
    text = written("docs/reference/cli.md")

    for code in (0, 1, 2, 3, 4, 130):
        assert f"| {code} | {output.EXIT_CODES[code]} |" in text
    assert set(output.EXIT_CODES) == {0, 1, 2, 3, 4, 130}


def test_every_route_has_a_section_with_every_parameter_and_status() -> None:
    found = sections("docs/reference/api.md")
    routes = {
        f"`{method.upper()} {path}`": operation
        for path, methods in json.loads(document())["paths"].items()
        for method, operation in methods.items()
    }

    assert set(found) == set(routes)
    for name, operation in routes.items():
        for parameter in operation.get("parameters", ()):
            assert f"| `{parameter['name']}` | {parameter['in']} |" in found[name]
        for status in operation["responses"]:
            assert f"| {status} |" in found[name]
