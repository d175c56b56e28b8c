"""Seals: a hash chain over the digests of closed ranges of a log; what is hashed, and how.

These rules stand for ever, because what was sealed must verify. A digest is SHA-256 over length-framed fields; a
seal holds the digests of its rows, and its chain value covers that of the seal before. The largest field of a row
enters as its own digest, so that it may be erased one day and the chain still verifies.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

DIGEST_SIZE = 32
GENESIS = bytes(DIGEST_SIZE)
"""What the first seal of a log follows."""
MAX_ROWS = 1000
"""Rows that one seal covers at the most."""

SEALED_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "events": (
        "id", "type", "source", "subject", "time", "recorded_at", "route", "lane", "key", "body_digest",
        "schema_version", "cause", "depth", "attributes", "direct", "data",
    ),
    "task_contexts": (
        "event_position", "pipeline", "generation", "status", "digest", "fingerprint", "recorded_at", "emits",
        "calls", "failure", "context",
    ),
}  # fmt: skip
"""The columns of each log in the order of their hashing, the one that enters as its own digest last.

The position is not among them: a row's place in its seal says it, and a row that was moved is known again.
"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What the rows from `first` to `last` (inclusive) of a log were, and what was sealed before them.

    `content` is the SHA-256 of the `digests`, which are one after the other, and None where they were not read.
    `recorded_at` is given by whoever keeps the seal; the chain does not cover it.
    """

    log: str
    log_id: str
    first: int
    last: int
    content: bytes
    previous: bytes
    chain: bytes
    digests: bytes | None = None
    recorded_at: datetime | None = None

    @property
    def holds(self) -> bool:
        """Whether the seal agrees with itself."""
        return (
            self.digests is not None
            and len(self.digests) == DIGEST_SIZE * (self.last - self.first + 1)
            and self.content == sha256(self.digests).digest()
            and self.chain == _chain(self.previous, self.log_id, self.log, self.first, self.last, self.content)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorLine:
    """What stands outside the database of one seal: how far the log was sealed, and the chain's value there.

    With `restored_from` it says that the log got a new id there, after a restore, and which one it had.
    """

    log: str
    log_id: str
    last_position: int
    chain: bytes
    recorded_at: datetime
    restored_from: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """A log got a new id because an older state of it was restored.

    `position` was its head then, and `sealed` how far it was sealed.
    """

    log: str
    log_id: str
    previous_id: str
    position: int
    sealed: int
    recorded_at: datetime


def seal_of(*, log: str, log_id: str, first: int, digests: Sequence[bytes], previous: bytes) -> Seal:
    """The seal of the rows from `first` on, which have these digests."""
    joined = b"".join(digests)
    last, content = first + len(digests) - 1, sha256(joined).digest()
    return Seal(
        log=log,
        log_id=log_id,
        first=first,
        last=last,
        content=content,
        previous=previous,
        chain=_chain(previous, log_id, log, first, last, content),
        digests=joined,
    )


def row_digest(fields: Sequence[bytes | None]) -> bytes:
    """The digest of a row: of its `SEALED_COLUMNS`, each in its canonical form."""
    *small, large = fields
    return sha256(_framed((*small, None if large is None else sha256(large).digest()))).digest()


def canonical(value: datetime | str | int | bytes | None) -> bytes | None:
    """A field as every database gives it: text in UTF-8, a time in UTC microseconds since 1970, a truth as 1 or 0."""
    if isinstance(value, bytes | None):
        return value
    if isinstance(value, datetime):
        return b"%d" % ((value.astimezone(UTC) - _EPOCH) // _MICROSECOND)
    return value.encode() if isinstance(value, str) else b"%d" % value


def _chain(*parts: bytes | str | int) -> bytes:
    """The chain's value at a seal: over the value before, the log's id and name, first, last and content."""
    return sha256(_framed(map(canonical, parts))).digest()


def _framed(parts: Iterable[bytes | None]) -> bytes:
    """The parts with their lengths before them, so that no two lists of parts look alike; a null is a hyphen."""
    return b"".join([b"-" if part is None else b"%d:%b" % (len(part), part) for part in parts])
