"""Promotions: from which generations results are read. Rows appended; the last one holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

LIVE = 0
"""The generation that live runs write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """From which generations results are read: the promoted ones, the newest first, and under them the live one.

    The result of an (event, pipeline) is its completed context in the first of them that has one. `generation` is the
    one that was promoted or rolled back at that time; the view of `id` 0 is that of a store where nothing was.
    """

    id: int = 0
    promoted: tuple[int, ...] = ()
    action: Literal["promote", "rollback"] | None = None
    generation: int = LIVE
    at: datetime | None = None

    @property
    def ranks(self) -> Mapping[int, int]:
        """The rank of each generation: of two results the one of the higher rank holds."""
        return ranks_of(self.promoted)


def ranks_of(promoted: Sequence[int]) -> Mapping[int, int]:
    """The rank of each generation of a view: the live one has 0."""
    return {generation: rank for rank, generation in enumerate((LIVE, *reversed(promoted)))}


class Promotions(Protocol):
    """Keeps the views that there were."""

    def current(self) -> View:
        """The view that holds."""
        ...

    def append(self, view: View) -> View | None:
        """Let this view hold from now on; `at` is filled in.

        None, and nothing happens, where the view before it (by `id`) is not the one that holds.

        Raises:
            Unavailable: the database cannot be reached; whether it committed may be unknown.
        """
        ...

    def list(self) -> Sequence[View]:
        """All views, the newest first."""
        ...
