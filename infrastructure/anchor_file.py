"""FileAnchor: one JSON line a seal in a file, which only grows; it may lie on a medium that only takes additions."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from application.ports.anchor import Anchor
from application.subscription import Log
from domain.errors import Unavailable
from domain.seals import AnchorLine

_TAIL = 1 << 16
"""Bytes at the end in which the last line of a log is looked for first."""


class FileAnchor(Anchor):
    """Keeps lines in a file; the file is made with its first line. Several processes may add to it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, lines: Sequence[AnchorLine]) -> None:
        text = "".join(f"{json.dumps(_members(line))}\n" for line in lines)
        with self._reaching(), self.path.open("ab", buffering=0) as file:
            # A line that was cut off by a full disk ends here, so that it spoils no other.
            torn = self._tail(1) not in {b"", b"\n"}
            file.write(b"\n" * torn + text.encode())
            os.fsync(file.fileno())

    def last(self, log: Log) -> AnchorLine | None:
        with self._reaching():
            if not self.path.exists():
                return None
            lines = map(_line, self._tail(_TAIL).split(b"\n"))
            near = [line for line in lines if line is not None and line.log == log]
        if near or self.path.stat().st_size <= _TAIL:
            return near[-1] if near else None
        found = None
        for line in self.read():
            found = line if line is not None and line.log == log else found
        return found

    def read(self) -> Iterator[AnchorLine | None]:
        with self._reaching(), self.path.open("rb") as file:
            for raw in file:
                yield _line(raw)

    def _tail(self, size: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read(size)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(f"The anchor {self.path} cannot be used: {error.strerror}. See SEAL_ANCHOR.") from error


_LINE = TypeAdapter(AnchorLine)


def _members(line: AnchorLine) -> dict[str, Any]:
    members = {
        "log": line.log,
        "log_id": line.log_id,
        "last_position": line.last_position,
        "chain": line.chain.hex(),
        "recorded_at": line.recorded_at.isoformat(),
    }
    return members if line.restored_from is None else {**members, "restored_from": line.restored_from}


def _line(raw: bytes) -> AnchorLine | None:
    try:
        members = json.loads(raw)
        return _LINE.validate_python({**members, "chain": bytes.fromhex(members["chain"])})
    except (ValueError, TypeError, KeyError, ValidationError):
        return None
