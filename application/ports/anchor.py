"""Anchor: what stands outside the database of each seal, so that a rewritten chain or a cut tail is seen."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from application.subscription import Log
from domain.seals import AnchorLine


class Anchor(Protocol):
    """Keeps lines in the order of their coming; none is ever changed."""

    def append(self, lines: Sequence[AnchorLine]) -> None:
        """Add lines, durable when this returns.

        Raises:
            Unavailable: they could not be added; some of them may have been.
        """
        ...

    def last(self, log: Log) -> AnchorLine | None:
        """The last line of a log that can be read.

        Raises:
            Unavailable: the anchor is there and cannot be read.
        """
        ...

    def read(self) -> Iterator[AnchorLine | None]:
        """All lines, those that cannot be understood as None.

        Raises:
            Unavailable: there is no anchor, or it cannot be read.
        """
        ...
