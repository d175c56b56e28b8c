"""Seals: what the rows of each log were, as a chain of digests that nobody changes."""

from typing import Protocol

from application.subscription import Log
from domain.seals import Seal
from domain.verification import LogEnds


class Seals(Protocol):
    """Keeps the seals of both logs, and reads the logs as they are sealed. No method changes a seal."""

    def ends(self, log: Log) -> LogEnds:
        """Where a log ends, as its head and its rows say at one moment."""
        ...

    def digests(self, log: Log, *, after: int | None, limit: int) -> list[tuple[int, bytes]]:
        """Position and `row_digest` of the first rows past a position (None: of all there are), ascending.

        The same row has the same digest whichever database keeps it. One that cannot be read has another digest.
        """
        ...

    def append(self, seal: Seal) -> bool:
        """Keep a seal. False, and nothing happens, where the log has one that begins at the same position."""
        ...

    def at(self, log: Log, position: int) -> Seal | None:
        """The last seal that begins at or before a position, without its digests."""
        ...

    def read(self, log: Log, *, after: int, limit: int, digests: bool = True) -> list[Seal]:
        """The first seals that begin after a position, in order; with their digests if these are wanted."""
        ...
