"""Verifying: both logs compared with their seals and the anchor."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from application.ports.anchor import Anchor
from application.ports.log_ids import LogIds
from application.ports.seals import Seals
from application.subscription import Log
from application.use_cases.sealing import LOGS, tip_of
from domain.seals import AnchorLine, Restore, Seal
from domain.verification import AnchorVerification, Finding, LogVerification

_ROWS = 2000
_SEALS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyLogs:
    """Which logs to verify, and from which position on."""

    logs: Sequence[Log] = LOGS
    since: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found of one log: rows that are what was sealed, rows that no seal covers yet, and what is wrong.

    `since` is where the verification began: at the seal that covers the position asked for. `anchored` is how far
    the anchor knows the chain, None without an anchor; `undone` counts its lines of a time that a restore undid.
    """

    log: Log
    log_id: str
    since: int
    last_position: int
    verified: int
    unsealed: int
    anchored: int | None
    undone: int
    restores: Sequence[Restore]
    findings: Sequence[Finding]


def verify(command: VerifyLogs, *, seals: Seals, log_ids: LogIds, anchor: Anchor | None) -> list[Verified]:
    """Compare every row with its seal, every seal with the one before, and every line of the anchor with its seal.

    What is appended meanwhile is not looked at.

    Raises:
        Unavailable: there is no anchor, or a store cannot be reached.
    """
    return [_verify(log, command.since, seals=seals, log_ids=log_ids, anchor=anchor) for log in command.logs]


def _verify(log: Log, since: int, *, seals: Seals, log_ids: LogIds, anchor: Anchor | None) -> Verified:
    restores = log_ids.restores(log)
    # The seals first: the rows that are there afterwards are at least those that they cover.
    tip = tip_of(log, seals)
    sealed = tip.last if tip else 0
    ends = seals.ends(log)
    covering = seals.at(log, since) if since > 1 else None
    since = covering.first if covering and covering.last >= since else since
    checked = LogVerification(
        ends=ends,
        rows=_rows(log, seals, since, ends.last),
        seals=_seals(log, seals, since, sealed),
        restores=restores,
        since=since,
    )
    anchored = None
    if anchor is not None:
        anchored = AnchorVerification(
            findings=checked.findings,
            lines=_lines(log, anchor),
            seals_from=lambda position: _seals(log, seals, _beginning(log, seals, position), sealed, digests=False),
            sealed=sealed,
            restores=restores,
            anchored_restores=frozenset(line.log_id for line in _lines(log, anchor) if line.restored_from),
            since=since,
        )
    return Verified(
        log=log,
        log_id=ends.log_id,
        since=since,
        last_position=ends.last,
        verified=checked.verified,
        unsealed=checked.unsealed,
        anchored=anchored.anchored if anchored else None,
        undone=anchored.undone if anchored else 0,
        restores=restores,
        findings=checked.findings.all(),
    )


def _rows(log: Log, seals: Seals, since: int, last: int) -> Iterator[tuple[int, bytes]]:
    # From the very first row there is: one below position 1 must be found as well.
    after = since - 1 if since > 1 else None
    while rows := seals.digests(log, after=after, limit=_ROWS):
        for position, digest in rows:
            if position > last:
                return
            yield position, digest
        after = rows[-1][0]


def _beginning(log: Log, seals: Seals, position: int) -> int:
    covering = seals.at(log, position)
    return covering.first if covering else 1


def _seals(log: Log, seals: Seals, since: int, sealed: int, *, digests: bool = True) -> Iterator[Seal]:
    after = since - 1
    while found := seals.read(log, after=after, limit=_SEALS, digests=digests):
        for seal in found:
            if seal.first > sealed:
                return
            yield seal
        after = found[-1].first


def _lines(log: Log, anchor: Anchor) -> Iterator[AnchorLine]:
    return (line for line in anchor.read() if line is not None and line.log == log)
