"""Replays: planned re-runs of stored events, each into a generation of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from application.subscription import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A frozen selection and the code it was planned for.

    `id` is also the generation it writes. `fingerprints` are those of the pipelines at the plan, by name;
    `count` is how many events were selected.
    """

    id: int
    selection: Selection
    fingerprints: Mapping[str, str]
    count: int
    created_at: datetime


class Replays(Protocol):
    """Keeps the plans; they are never changed."""

    def create(self, selection: Selection, fingerprints: Mapping[str, str], count: int) -> Replay:
        """Keep a plan under the next id."""
        ...

    def get(self, replay_id: int) -> Replay | None:
        """The replay of this id."""
        ...

    def list(self) -> list[Replay]:
        """All replays, newest first."""
        ...
