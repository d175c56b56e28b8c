"""MemoryReplays: planned replays as a list."""

from collections.abc import Mapping

from application.ports.replays import DecisionKind, Replay, Replays
from application.subscription import Selection
from infrastructure.memory.tables import MemoryTables


class MemoryReplays(Replays):
    """Keeps plans in memory."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def create(self, selection: Selection, fingerprints: Mapping[str, str], count: int) -> Replay:
        with self._tables.lock:
            replay = Replay(
                id=len(self._tables.replays) + 1,
                selection=selection,
                fingerprints=dict(fingerprints),
                count=count,
                created_at=self._tables.clock(),
            )
            self._tables.replays.append(replay)
            return replay

    def get(self, replay_id: int) -> Replay | None:
        return next((replay for replay in self.list() if replay.id == replay_id), None)

    def list(self) -> list[Replay]:
        with self._tables.lock:
            return self._tables.replays[::-1]

    def decide(self, replay_id: int, kind: DecisionKind, value: str) -> str:
        with self._tables.lock:
            return self._tables.replay_decisions.setdefault(replay_id, {}).setdefault(kind, value)

    def decided(self, replay_id: int) -> Mapping[DecisionKind, str]:
        with self._tables.lock:
            return dict(self._tables.replay_decisions.get(replay_id, {}))
