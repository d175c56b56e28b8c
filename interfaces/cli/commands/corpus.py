"""corpus: a sample of the past for a repository, and the gate that CI runs over it."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from interfaces.cli import output
from interfaces.cli.comparisons import Html, Ignore, Tolerance, put_comparison, write_page
from interfaces.cli.stores import container_of, opened

app = typer.Typer(help="Keep a sample of the past in a repository, and check new code by it.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="NDJSON to write; gzip where the name ends in .gz.")],
    per_shape: Annotated[
        int, typer.Option(help="Events at the most of each type, schema version and outcome.", min=1)
    ] = 20,
    keep: Annotated[
        list[str] | None, typer.Option(help="A pointer, as /data/carrier: texts there stay; may be repeated.")
    ] = None,
    anonymise: Annotated[
        list[str] | None, typer.Option(help="A pointer: numbers there are replaced too; may be repeated.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Replace nothing; the first line says so.")] = False,
    as_json: Json = False,
) -> None:
    """Write a sample of the past: events of every kind, their texts as pseudonyms, and what is made of them."""
    from application.use_cases.corpus import ExportCorpus
    from domain.corpus import lines_of
    from domain.errors import InvalidRequest
    from interfaces.cli.corpus_files import write_corpus

    pointers = [*(keep or ()), *(anonymise or ())]
    if plain and pointers:
        raise InvalidRequest("--plain replaces nothing: leave --keep and --anonymise out, or --plain.")
    if wrong := [each for each in pointers if not each.startswith("/")]:
        raise InvalidRequest(f"{wrong[0]!r} is no JSON pointer: write one as /data/carrier, from the event on.")
    command = ExportCorpus(per_shape=per_shape, plain=plain, kept=keep or (), replaced=anonymise or ())
    with opened() as container, output.progress("looked at, up to position", None) as bar:
        made = container.export_corpus()(command, auditor=container.auditor(), progress=bar.to)
    if made.corpus is not None:
        write_corpus(file, lines_of(made.corpus.header, made.corpus.expectations))
    if as_json:
        output.put_json({"file": str(file), "shapes": made.shapes, "by_other_code": made.by_other_code})
    else:
        _put_export(made)
    if made.corpus is None:
        output.fail("nothing is left to export: no file was written", output.SOME_FAILED)


def _put_export(made: Any) -> None:
    from application.use_cases.corpus import ANOTHER_WAY

    output.put_table(
        ("type", "version", "outcome", "stored", "taken", "left out"),
        [
            (each.type, each.schema_version, each.outcome, each.stored, each.taken, sum(each.left_out.values()))
            for each in made.shapes
        ],
    )
    for each in made.shapes:
        for why, count in each.left_out.items():
            output.say(f"left out: {count:,} of {each.type} version {each.schema_version}, {each.outcome}: {why}")
    if lost := [each for each in made.shapes if not each.taken]:
        output.say(f"{len(lost):,} of {len(made.shapes):,} shapes have no event in the corpus")
    if any(ANOTHER_WAY in each.left_out for each in made.shapes):
        output.say("where a text decides which way an event goes, name it by --keep")
    for name, count in made.by_other_code.items():
        output.say(f"{count:,} results of {name} were made by other code than that at hand")


@app.command()
def check(
    file: Annotated[str, typer.Argument(help="What `export` wrote.")],
    tolerance: Tolerance = 0.0,
    ignore: Ignore = None,
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Run the code at hand over a corpus, and tell what differs. 0: nothing, 1: something. It needs no store."""
    from application.use_cases.corpus import check_corpus
    from domain.corpus import read_corpus
    from domain.differences import Rules
    from interfaces.cli.feeding import read_lines

    corpus = read_corpus(read_lines(file))
    container = container_of(log_level="warning")
    rules = Rules(tolerance=tolerance, ignored=tuple(ignore or ()))
    with output.progress("run", len(corpus.expectations)) as bar:
        found = check_corpus(corpus, rules, dry_run=container.dry_run(), progress=bar.to)
    here, known = container.fingerprints(), corpus.header.fingerprints
    changed = [name for name in known if here.get(name) not in known[name]]
    if html is not None:
        write_page(
            html,
            found,
            title="The code at hand beside the corpus",
            told=f"{found.compared:,} events of {Path(file).name} · newest result "
            f"{corpus.header.newest:%Y-%m-%d %H:%M} UTC · changed code: {', '.join(changed) or 'none'}",
            code="the code that made the corpus",
            fingerprints=known,
        )
    if as_json:
        output.put_json({"file": file, "anonymised": corpus.header.anonymised, "changed": changed, **asdict(found)})
    else:
        put_comparison(f"{file}: {found.compared:,} events compared", found)
        if changed:
            output.say(f"other code than that of the corpus: {', '.join(changed)}")
    if not found.same:
        raise typer.Exit(output.SOME_FAILED)
