"""Feeding a file of events to a service: in batches, each line keyed, so that it may be done again."""

import bisect
import codecs
import gzip
import hashlib
import json
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from domain.errors import InvalidRequest, NotFound, Unavailable
from interfaces.cli.client import Client

BATCH = 500
"""Lines of a batch at the most."""
BATCH_BYTES = 4 << 20
"""Bytes of a batch, but for its last line; the service takes 16 MiB."""
LINE_BYTES = 1 << 20
"""Bytes of an event that the service takes; a batch with a larger one might be refused as a whole."""
_SHOWN = 5
_OVERLOADED = 429


@dataclass(slots=True)
class Summary:
    """What became of the lines; of the refused the first few are kept, in the order of their lines."""

    taken: int = 0
    repeated: int = 0
    refused: int = 0
    reasons: list[tuple[int, str]] = field(default_factory=list)

    def refuse(self, line: int, reason: str) -> None:
        """Count a refused line."""
        self.refused += 1
        bisect.insort(self.reasons, (line, reason))
        del self.reasons[_SHOWN:]


def read_lines(source: str) -> list[bytes]:
    """The lines of a file, of a .gz file, or (`-`) of standard input; empty ones are kept, for their numbers.

    Raises:
        NotFound: there is no such file.
        InvalidRequest: it cannot be read.
    """
    try:
        if source == "-":
            return _unzipped(sys.stdin.buffer)
        with Path(source).open("rb") as file:
            return _unzipped(file)
    except FileNotFoundError:
        raise NotFound(f"There is no file {source}.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidRequest(f"{source} cannot be read: {error}") from error


def _unzipped(file: BinaryIO) -> list[bytes]:
    content = file.read()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    lines = content.removeprefix(codecs.BOM_UTF8).split(b"\n")
    return lines if lines[-1] else lines[:-1]


def feed(
    lines: Sequence[bytes],
    client: Client,
    *,
    keyed: bool,
    not_before: str | None = None,
    progress: Callable[[int], None],
    wait: Callable[[float], None] = time.sleep,
) -> Summary:
    """Send lines in batches. What an overloaded service refuses is sent again after the time that it asks for.

    `wait` is told for how many seconds. With `keyed`, each has the key (digest of all lines, number of the line), so
    that an interrupted feeding may simply be done again.

    Raises:
        Unavailable: the service does not answer, or its database is away.
    """
    digest = hashlib.sha256(b"\n".join(lines)).hexdigest()[:32] if keyed else ""
    summary = Summary()
    for batch in _batches(lines, summary):
        # The service adds /index: the first line of a batch is always the same one.
        key = f"{digest}-{batch[0][0]}" if keyed else None
        lines_of = {number: line if not_before is None else _delayed(line, not_before) for number, line in batch}
        _send(lines_of, client, key, summary, wait)
        progress(batch[-1][0])
    progress(len(lines))
    return summary


def _batches(lines: Sequence[bytes], summary: Summary) -> Iterator[list[tuple[int, bytes]]]:
    """Numbered lines, the same batches for the same lines. One that would spoil its batch is left."""
    batch: list[tuple[int, bytes]] = []
    size = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            line.decode()
        except UnicodeDecodeError as error:
            summary.refuse(number, f"The line is not UTF-8 at byte {error.start}.")
            continue
        if len(line) > LINE_BYTES:
            summary.refuse(number, f"The line is larger than {LINE_BYTES:,} bytes.")
            continue
        batch.append((number, line))
        size += len(line)
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _delayed(line: bytes, not_before: str) -> bytes:
    """The line with the time before which it shall not run; its data to the letter."""
    stripped = line.strip()
    if not stripped.startswith(b"{"):
        return line
    return b'{"not_before":' + json.dumps(not_before).encode() + b"," + stripped[1:].lstrip()


def _send(
    lines: Mapping[int, bytes], client: Client, key: str | None, summary: Summary, wait: Callable[[float], None]
) -> None:
    """Send one batch of numbered lines until each of them is taken or refused for good."""
    pending = set(lines)
    while pending:
        # Under a key every line keeps its index: those that were taken are repeated, and not counted again.
        sent = list(lines) if key is not None else sorted(pending)
        headers = {"Content-Type": "application/x-ndjson", **({"Idempotency-Key": key} if key is not None else {})}
        body = b"\n".join(lines[number] for number in sent)
        status, answer = client.request("POST", "/events/batch", body, headers)
        delays = _judge(status, answer, sent, pending, summary)
        if pending:
            wait(max(delays, default=1.0))


def _judge(status: int, answer: Any, numbers: Sequence[int], pending: set[int], summary: Summary) -> list[float]:
    """Count what became of pending lines. For those that stay pending: after how many seconds to send them again."""
    if status in {202, 207}:
        delays = []
        for number, item in zip(numbers, answer["items"], strict=True):
            if number not in pending:
                continue
            if item["status"] == _OVERLOADED:
                delays.append(float(item["problem"].get("retry_after", 1)))
                continue
            pending.discard(number)
            if "problem" in item:
                summary.refuse(number, item["problem"]["detail"])
            elif item.get("repeated"):
                summary.repeated += 1
            else:
                summary.taken += 1
        return delays
    detail = answer.get("detail", "") if isinstance(answer, dict) else ""
    if status == _OVERLOADED:
        return [float(answer.get("retry_after", 1))]
    if status not in {400, 413, 422}:
        raise Unavailable(f"The service does not take events now (HTTP status {status}). {detail} Send again later.")
    for number in sorted(pending):
        summary.refuse(number, detail)
    pending.clear()
    return []
