"""History: what a part of the run did, one JSON object a line, on the disk before the part goes on."""

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self


class History:
    """An append-only file of lines. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._lock = threading.Lock()

    def add(self, what: str, **members: Any) -> None:
        """Write a line, and return when it is durable. `at` is the time in seconds since 1970."""
        line = json.dumps({"at": round(time.time(), 4), "what": what, **members}, separators=(",", ":"))
        with self._lock:
            os.write(self._file, line.encode() + b"\n")
            os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def lines_of(*paths: Path) -> Iterator[dict[str, Any]]:
    """The lines of histories, one file after the other."""
    for path in paths:
        with path.open() as file:
            for line in file:
                yield json.loads(line)
