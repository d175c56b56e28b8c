"""Replays: planned re-runs of stored events, each into a generation of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from application.subscription import Selection

DecisionKind = Literal["effects", "end"]
"""What is decided about a replay at most once: what becomes of its effects, and that it ends before it is done."""


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
    """Keeps the plans, which are never changed, and what was decided about them once and for all."""

    def create(self, selection: Selection, fingerprints: Mapping[str, str], count: int) -> Replay:
        """Keep a plan under the next id."""
        ...

    def get(self, replay_id: int) -> Replay | None:
        """The replay of this id."""
        ...

    def list(self) -> list[Replay]:
        """All replays, newest first."""
        ...

    def decide(self, replay_id: int, kind: DecisionKind, value: str) -> str:
        """Decide something about a replay; what holds: of several who decide, the first one's word, for ever.

        Raises:
            Unavailable: the database cannot be reached.
        """
        ...

    def decided(self, replay_id: int) -> Mapping[DecisionKind, str]:
        """All that was decided about a replay."""
        ...
