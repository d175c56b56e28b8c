"""MemoryAnchor: an anchor as a list."""

from collections.abc import Iterator, Sequence

from application.ports.anchor import Anchor
from application.subscription import Log
from domain.errors import Unavailable
from domain.seals import AnchorLine


class MemoryAnchor(Anchor):
    """Keeps lines in memory."""

    def __init__(self) -> None:
        self.lines: list[AnchorLine] = []
        self.away = False

    def append(self, lines: Sequence[AnchorLine]) -> None:
        self._look()
        self.lines += lines

    def last(self, log: Log) -> AnchorLine | None:
        self._look()
        return next((line for line in reversed(self.lines) if line.log == log), None)

    def read(self) -> Iterator[AnchorLine | None]:
        self._look()
        if not self.lines:
            raise Unavailable("There is no anchor.")
        yield from list(self.lines)

    def _look(self) -> None:
        if self.away:
            raise Unavailable("The anchor is away.")
