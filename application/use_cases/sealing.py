"""Sealing: what the rows of a log were, written down off the hot path and anchored outside the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from application.engine import Batch, Outcome
from application.ports.anchor import Anchor
from application.ports.journal import Journal
from application.ports.seals import Seals
from application.subscription import Log, Selection
from domain.errors import LogAltered, Unavailable
from domain.seals import GENESIS, MAX_ROWS, AnchorLine, Seal, seal_of

SEALING: Mapping[str, Log] = {"seal-events": "events", "seal-contexts": "task_contexts"}
"""The subscriptions that seal, and the log of each."""
LOGS: tuple[Log, ...] = tuple(SEALING.values())
_LINES = 500


@dataclass(frozen=True, slots=True)
class Place:
    """A position of a log; its row is read when it is sealed."""

    position: int


def places(selection: Selection, limit: int) -> list[Place]:
    """The rows of a claim: a log has no gaps, and sealing passes over none of it."""
    positions = selection.positions or range(selection.after + 1, (selection.last or 0) + 1)
    return [Place(position) for position in positions[:limit]]


def seal_rows(batch: Batch, *, log: Log, seals: Seals, anchor: Anchor | None, journal: Journal) -> Sequence[Outcome]:
    """Continue the chain until it covers a claim, from wherever it ends.

    So claims may come in any order, twice, or at several processes at once: a claim only says how far to seal, and
    of two seals that begin at one position the first is kept.

    Raises:
        LogAltered: the next rows are not those that should follow; nothing is sealed from there on.
    """
    while (sealed := _sealed(log, seals)) < batch.claim.last and not batch.stopping():
        batch.step, batch.done = "sealing", max(0, sealed - batch.claim.first + 1)
        if not seal_next(log, seals=seals):
            break
    if anchor is not None:
        try:
            write_anchor(log, seals=seals, anchor=anchor)
        except Unavailable as error:
            # The next seal brings it up to date.
            journal.failed(f"anchor of {log}", error)
    return [Outcome(position=row.position, back=None if row.position <= sealed else "hand_back") for row in batch.rows]


def _sealed(log: Log, seals: Seals) -> int:
    tip = tip_of(log, seals)
    return tip.last if tip else 0


def tip_of(log: Log, seals: Seals) -> Seal | None:
    """The last seal of a log."""
    return seals.at(log, 2**62)


def seal_next(log: Log, *, seals: Seals) -> bool:
    """Seal the next rows of a log, at most `MAX_ROWS`; False when all that there are have been sealed.

    Raises:
        LogAltered: the next rows are not those that should follow.
    """
    tip = tip_of(log, seals)
    first = tip.last + 1 if tip else 1
    ends = seals.ends(log)
    rows = seals.digests(log, after=first - 1, limit=MAX_ROWS)
    positions = [position for position, _ in rows]
    if positions != list(range(first, first + len(rows))) or (not rows and ends.head >= first):
        raise LogAltered(f"The rows of {log} from position {first} on are not without a gap. Run: playhead verify")
    if rows:
        seals.append(
            seal_of(
                log=log,
                log_id=ends.log_id,
                first=first,
                digests=[digest for _, digest in rows],
                previous=tip.chain if tip else GENESIS,
            )
        )
    return bool(rows)


def unsealed_rows(log: Log, *, seals: Seals) -> int:
    """How many rows of a log no seal covers yet."""
    sealed = _sealed(log, seals)
    return max(0, seals.ends(log).head - sealed)


def write_anchor(log: Log, *, seals: Seals, anchor: Anchor) -> None:
    """Add a line for each seal that the anchor lacks.

    Raises:
        Unavailable: the anchor cannot be read or added to.
    """
    after = _anchored(log, seals, anchor)
    while missing := seals.read(log, after=after, limit=_LINES, digests=False):
        anchor.append([_line(seal) for seal in missing])
        after = missing[-1].first


def is_anchored(log: Log, *, seals: Seals, anchor: Anchor) -> bool:
    """Whether the anchor's last line of a log is its last seal.

    Raises:
        Unavailable: the anchor cannot be read.
    """
    tip, last = tip_of(log, seals), anchor.last(log)
    return tip is None or (last is not None and last.chain == tip.chain)


def _line(seal: Seal) -> AnchorLine:
    assert seal.recorded_at is not None
    return AnchorLine(
        log=seal.log,
        log_id=seal.log_id,
        last_position=seal.last,
        chain=seal.chain,
        recorded_at=seal.recorded_at,
    )


def _anchored(log: Log, seals: Seals, anchor: Anchor) -> int:
    """Where the last seal begins that the anchor knows, 0 where it knows none.

    Usually that is its last line. After a restore it is an earlier one; the lines behind it are of a time that was
    undone.
    """
    last = anchor.last(log)
    if last is None:
        return 0
    known = _seal_of_line(last, seals)
    if known is None:
        for line in anchor.read():
            if line is not None and line.log == log:
                known = _seal_of_line(line, seals) or known
    return known.first if known else 0


def _seal_of_line(line: AnchorLine, seals: Seals) -> Seal | None:
    log: Log = "events" if line.log == "events" else "task_contexts"
    seal = seals.at(log, line.last_position)
    return seal if seal and (seal.last, seal.chain) == (line.last_position, line.chain) else None
