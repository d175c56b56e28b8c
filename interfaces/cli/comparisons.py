"""What the commands that compare results have in common: their options, the table, the page, how they end."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from interfaces.cli import output

Tolerance = Annotated[float, typer.Option(help="Numbers so close, relative to the larger one, are equal.", min=0)]
Ignore = Annotated[
    list[str] | None, typer.Option(help="A place that does not count, as /outputs/NODE/at; may be repeated.")
]
Html = Annotated[Path | None, typer.Option(help="Write a page with charts to this file as well.")]


def write_page(
    file: Path, found: Any, *, title: str, told: str, code: str, fingerprints: Mapping[str, Sequence[str]]
) -> None:
    """Write the page of a comparison; see `comparison_page`."""
    from interfaces.cli.comparison_page import comparison_page

    page = comparison_page(found, title=title, told=told, code=code, fingerprints=fingerprints)
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        output.fail(f"{file} cannot be written: {error.strerror}", output.BAD_USAGE)


def put_comparison(title: str, found: Any) -> None:
    """Print a comparison for people."""
    names = ("identical", "equivalent", "different", "without_live")
    output.put_table(
        [name.replace("_", " ") for name in names], [[getattr(found, name) for name in names]], title=title
    )
    if found.classes:
        rows = [(one.events, one.pipeline, one.node, one.place, one.words, one.examples[0]) for one in found.classes]
        output.put_table(("events", "pipeline", "first at node", "place", "change", "for example"), rows)
    for place in found.noise:
        output.say(f"noise: {place} differs when the same code runs twice, and does not count")
