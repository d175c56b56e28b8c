"""The generated pages say what the code says, row by row."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def made() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("reference_pages", ROOT / "scripts/reference_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


@pytest.mark.parametrize(
    "page", [".env.example", "docs/reference/settings.md", "docs/reference/cli.md", "docs/reference/api.md"]
)
def test_a_generated_page_says_what_the_code_says(page: str) -> None:
    committed = (ROOT / page).read_text().splitlines()

    assert committed == made()[page].splitlines(), f"{page} is stale. Run: ./scripts/reference"


def test_every_setting_and_every_route_has_its_row() -> None:
    from infrastructure.settings import Settings

    settings = (ROOT / "docs/reference/settings.md").read_text()
    api = (ROOT / "docs/reference/api.md").read_text()

    assert [name for name in Settings.model_fields if f"`{name.upper()}`" not in settings] == []
    for route in (
        "POST /events",
        "POST /events/batch",
        "GET /events",
        "GET /tasks/{task_id}",
        "POST /search",
        "GET /metrics",
    ):
        assert f"## `{route}`" in api
