"""Files of a corpus: the same bytes for the same lines, and whole or not at all."""

import gzip
from collections.abc import Iterable
from pathlib import Path

from interfaces.cli import output


def write_corpus(file: Path, lines: Iterable[str]) -> None:
    """Write lines to a file, compressed where its name ends in .gz; one that was there is replaced as a whole."""
    content = "".join(f"{line}\n" for line in lines).encode()
    if file.suffix == ".gz":
        content = gzip.compress(content, mtime=0)  # without the time of day, which would make other bytes each time
    unfinished = file.with_name(f".{file.name}.part")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(file)
    except OSError as error:
        output.fail(f"{file} cannot be written: {error.strerror}", output.BAD_USAGE)
