"""What people and machines read: data on standard output, everything else on standard error, one exit code an error."""

import io
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from pydantic_core import to_json

from domain import errors
from infrastructure.masking import Mask, mask_patterns

_COPIED = {"id", "event_id"}
"""Columns whose values are copied, so never broken."""
DONE, SOME_FAILED, BAD_USAGE, NOT_FOUND, NOT_CONFIGURED, INTERRUPTED = 0, 1, 2, 3, 4, 130

EXIT_CODES: Mapping[int, str] = {
    DONE: "done",
    SOME_FAILED: "it ran, and some of it failed or was refused",
    BAD_USAGE: "the command cannot be understood so",
    NOT_FOUND: "there is nothing of this name or id",
    NOT_CONFIGURED: "a setting is wrong, or something that it names cannot be reached",
    INTERRUPTED: "interrupted by Ctrl-C",
}
_CODE_OF: Mapping[type[errors.PlayheadError], int] = {
    errors.Unauthenticated: NOT_CONFIGURED,
    errors.Forbidden: NOT_CONFIGURED,
    errors.NotFound: NOT_FOUND,
    errors.Misconfigured: NOT_CONFIGURED,
    errors.Unavailable: NOT_CONFIGURED,
    errors.Overloaded: NOT_CONFIGURED,
    errors.InvalidPipeline: NOT_CONFIGURED,
    errors.InvalidReplay: BAD_USAGE,
    errors.InvalidCorpus: BAD_USAGE,
    errors.CountDiffers: BAD_USAGE,
    errors.InvalidQuery: BAD_USAGE,
    errors.InvalidRequest: BAD_USAGE,
    errors.MalformedJson: BAD_USAGE,
    errors.InvalidEvent: BAD_USAGE,
    errors.UnknownType: BAD_USAGE,
}


def exit_code_of(error: errors.PlayheadError) -> int:
    """The exit code of an error; 1 for one that has no other."""
    return next((code for kind, code in _CODE_OF.items() if isinstance(error, kind)), SOME_FAILED)


def fail(message: str, code: int) -> NoReturn:
    """Say what is wrong on standard error, and end."""
    say(f"playhead: {message}")
    raise typer.Exit(code)


class _Cover:
    """What covers secrets in what is said: at first by their looks, then those of the settings as well."""

    mask: Mask = staticmethod(mask_patterns)


def cover(mask: Mask) -> None:
    """Let nothing that is said from now on show these secrets."""
    _Cover.mask = staticmethod(mask)


def say(message: str) -> None:
    """A line for people, beside the data."""
    sys.stderr.write(_Cover.mask(message) + "\n")
    sys.stderr.flush()


def put(text: str) -> None:
    """A line of data."""
    try:
        sys.stdout.write(text + "\n")
    except BrokenPipeError:
        read_enough()


def read_enough() -> NoReturn:
    """End quietly: whoever read the output (`head`, a pager) wants no more of it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(DONE)


def tell(text: str = "") -> None:
    """A line of standard output for people, its secrets covered."""
    put(_Cover.mask(text))


def put_json(value: Any) -> None:
    """One JSON document."""
    put(to_json(value, indent=2).decode())


def put_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "") -> None:
    """A table. Columns of numbers stand right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    cells = [[_text(value) for value in row] for row in rows]
    numbers = [all(_is_number(row[index]) for row in cells) for index in range(len(columns))]
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for name, number in zip(columns, numbers, strict=True):
        table.add_column(
            name, justify="right" if number and cells else "left", overflow="fold", no_wrap=name in _COPIED
        )
    for row in cells:
        table.add_row(*row)
    if title:
        put(title)  # beside the table, which would break it at its own width
    # Rendered first and written as one text: rich would end the process where a reader has gone.
    text = io.StringIO()
    console = Console(file=text, width=width(), force_terminal=sys.stdout.isatty(), highlight=False, markup=False)
    console.print(table)
    put(text.getvalue())


def put_whole_columns(rows: Sequence[Mapping[str, Any]]) -> None:
    """A table of as many whole columns as the line takes; those left out are named."""
    columns, missing, left = [], [], width()
    for name in rows[0]:
        needed = 2 + max(len(name), *(len(_text(row[name])) for row in rows))
        if needed <= left:
            columns.append(name)
            left -= needed
        else:
            missing.append(name)
    put_table(columns, [[row[name] for name in columns] for row in rows])
    if missing:
        say(f"too wide for this line, but in --json: {', '.join(missing)}")


def width() -> int:
    """Characters of a line of standard output; where it is no terminal, as many as are needed."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 1_000


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def _is_number(text: str) -> bool:
    return text.removeprefix("-").replace(",", "").replace(".", "").removesuffix(" ms").isdigit() or not text


@contextmanager
def progress(label: str, total: int | None) -> Iterator["Progress"]:
    """A progress bar on a terminal's standard error; elsewhere one line at the end."""
    bar = Progress(label, total)
    try:
        yield bar
    finally:
        bar.close()


class Progress:
    """Told how much is done."""

    def __init__(self, label: str, total: int | None) -> None:
        self._label = label
        self._done: int | None = None
        self._bar: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Bar(*columns, console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task(label, total=total)

    def to(self, done: int, total: int | None = None, words: str | None = None) -> None:
        """So much is done in all; `total` where it has grown; `words` to be said beside it."""
        self._done = done
        if self._bar is not None:
            said = None if words is None else f"{self._label}: {words}"
            self._bar.update(self._task, completed=done, total=total, description=said)

    def close(self) -> None:
        """Draw no more."""
        if self._bar is not None:
            self._bar.stop()
        elif self._done is not None:
            say(f"{self._label}: {self._done:,}")
