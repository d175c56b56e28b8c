"""Verification: a log compared with its seals, and its seals with an anchor. It reads everything once, in order."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from domain.seals import DIGEST_SIZE, GENESIS, AnchorLine, Restore, Seal

Kind = Literal["altered", "missing", "added", "moved", "chain broken", "tail cut", "re-stamped"]
_KEPT = 10_000
"""Rows that differ and are compared with each other; of more than that only the first are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEnds:
    """A log's id, the position that its head row says, and the last position that a row has (0: none)."""

    log_id: str
    head: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong: the first position of this kind, how many there are, and a sentence about the first."""

    kind: Kind
    position: int
    count: int
    detail: str


class Findings:
    """The first finding of each kind."""

    def __init__(self) -> None:
        self._found: dict[Kind, Finding] = {}

    def add(self, kind: Kind, position: int, detail: str, count: int = 1) -> None:
        """Note something that is wrong."""
        known = self._found.get(kind)
        first = Finding(kind=kind, position=position, count=count, detail=detail)
        if known is not None:
            earlier = known if known.position <= position else first
            first = Finding(kind=kind, position=earlier.position, count=known.count + count, detail=earlier.detail)
        self._found[kind] = first

    def all(self) -> list[Finding]:
        """What was found, by position."""
        return sorted(self._found.values(), key=lambda finding: finding.position)


class LogVerification:
    """Compares the rows of a log with its seals, from a position on.

    `rows` are positions and digests, ascending; `seals` come in order, from that which covers the position. What
    lies before is not looked at, and the first seal is believed in what it follows.
    """

    def __init__(
        self,
        *,
        ends: LogEnds,
        rows: Iterable[tuple[int, bytes]],
        seals: Iterable[Seal],
        restores: Sequence[Restore],
        since: int = 1,
    ) -> None:
        self.findings = Findings()
        self.verified = 0
        self.unsealed = 0
        self._ends = ends
        self._rows = iter(rows)
        self._row = next(self._rows, None)
        self._restores = restores
        self._next = since
        self._sealed = since - 1
        self._chain = GENESIS if since <= 1 else None
        self._differing: list[tuple[int, bytes, bytes]] = []
        self._loose: dict[bytes, int] = {}
        for seal in seals:
            self._follow(seal)
            self._compare(seal)
        self._end()
        self._classify()

    def _follow(self, seal: Seal) -> None:
        """Look whether a seal continues the chain."""
        broken = None
        if seal.first > self._sealed + 1:
            self.findings.add("chain broken", self._sealed + 1, "no seal begins here, but later ones do")
        elif seal.first <= self._sealed:
            broken = "a seal covers what another covers"
        elif self._chain is not None and seal.previous != self._chain:
            broken = "the seal that begins here does not follow the one before it: one of the two was made anew"
        if broken is None and seal.log_id != self._id_at(seal.first):
            broken = "the seal that begins here names another log"
        if not seal.holds:
            broken = "the seal that begins here contradicts itself"
        if broken is not None:
            self.findings.add("chain broken", seal.first, broken)
        self._chain = seal.chain
        self._sealed = max(self._sealed, seal.last)

    def _id_at(self, position: int) -> str:
        """The id that the log had when this position was sealed."""
        given = [restore.log_id for restore in self._restores if restore.sealed < position]
        first = self._restores[0].previous_id if self._restores else self._ends.log_id
        return given[-1] if given else first

    def _compare(self, seal: Seal) -> None:
        self._pass(seal.first - 1)
        digests = seal.digests if seal.holds else None
        for position, found in self._rows_to(seal.last):
            if digests is None:
                self.unsealed += 1
                continue
            begin = DIGEST_SIZE * (position - seal.first)
            wanted = digests[begin : begin + DIGEST_SIZE]
            if found == wanted:
                self.verified += 1
            elif len(self._differing) < _KEPT:
                self._differing.append((position, found, wanted))

    def _pass(self, last: int) -> None:
        """Read rows that no seal covers; a sealed one may have come among them."""
        for position, found in self._rows_to(last):
            self.unsealed += 1
            if len(self._loose) < _KEPT:
                self._loose[found] = position

    def _rows_to(self, last: int) -> Iterator[tuple[int, bytes]]:
        """The rows up to a position that are where they should be."""
        while self._row is not None and self._row[0] <= last:
            position, _ = row = self._row
            if position > self._next:
                count = position - self._next
                self.findings.add("missing", self._next, "there is no row at this position", count)
            if position < self._next or position > self._ends.head:
                self.findings.add("added", position, "the log has no such position")
            else:
                yield row
            self._next = max(self._next, position + 1)
            self._row = next(self._rows, None)

    def _end(self) -> None:
        self._pass(self._ends.last)
        end = max(self._ends.head, self._sealed)
        if self._next <= end:
            known = "the log's head" if self._ends.head == end else "a seal"
            detail = f"no row from here on, but {known} knows {end}"
            self.findings.add("tail cut", self._next, detail, end - self._next + 1)

    def _classify(self) -> None:
        """Say of each row that differs what was done: is its content known elsewhere, is the sealed one elsewhere?"""
        found_at = self._loose | {found: position for position, found, _ in self._differing}
        wanted_at = {wanted: position for position, _, wanted in self._differing}
        for position, found, wanted in self._differing:
            now_at, sealed_at = found_at.get(wanted), wanted_at.get(found)
            if now_at is None and sealed_at is None:
                self.findings.add("altered", position, "the row is not what was sealed")
            elif now_at is None:
                self.findings.add("missing", position, "the row that was sealed here is gone, and others moved up")
            elif sealed_at is None and now_at > position:
                self.findings.add("added", position, "no seal knows this row, and others moved down")
            else:
                self.findings.add("moved", position, f"the row that was sealed here is at position {now_at}")


class AnchorVerification:
    """Compares the lines that an anchor has of a log with its seals, and adds to the log's findings.

    `seals_from` gives the seals in order, from that which covers a position; their digests are not needed. A line
    that has no seal is explained by a restore that stands in the database and in the anchor alike, if the log
    was sealed less far then, and the line is not of the time since.
    """

    def __init__(
        self,
        *,
        findings: Findings,
        lines: Iterable[AnchorLine],
        seals_from: Callable[[int], Iterable[Seal]],
        sealed: int,
        restores: Sequence[Restore],
        anchored_restores: frozenset[str],
        since: int = 1,
    ) -> None:
        self._findings = findings
        self.lines = 0
        self.undone = 0
        self.anchored = 0
        self._sealed = sealed
        self._restores = [restore for restore in restores if restore.log_id in anchored_restores]
        self._seals_from = seals_from
        self._seals: Iterator[Seal] = iter(())
        self._seal: Seal | None = None
        self._at = 0
        for line in lines:
            if line.restored_from is None and line.last_position >= since:
                self._compare(line)

    def _compare(self, line: AnchorLine) -> None:
        self.lines += 1
        seal = self._seal_at(line.last_position)
        if seal is not None and (seal.last, seal.chain) == (line.last_position, line.chain):
            self.anchored = max(self.anchored, line.last_position)
        elif self._is_undone(line):
            self.undone += 1
        elif seal is None:
            detail = f"the anchor knows seals up to {line.last_position}"
            self._findings.add("tail cut", self._sealed + 1, detail)
        elif seal.first > line.last_position:
            self._findings.add("chain broken", line.last_position, "the seal that ends here is gone")
        else:
            detail = "the seal that begins here is not the one that the anchor knows"
            self._findings.add("re-stamped", seal.first, detail)

    def _is_undone(self, line: AnchorLine) -> bool:
        given: set[str] = set()
        for restore in reversed(self._restores):
            given.add(restore.log_id)
            if restore.sealed < line.last_position and line.log_id not in given:
                return True
        return False

    def _seal_at(self, position: int) -> Seal | None:
        """The first seal that ends at or after a position. Lines come in order, but for repeats and restores."""
        if position < self._at or self._at == 0:
            self._seals = iter(self._seals_from(position))
            self._seal = next(self._seals, None)
        self._at = position
        while self._seal is not None and self._seal.last < position:
            self._seal = next(self._seals, None)
        return self._seal
