"""MemoryDispatcher: a doorbell that only remembers who was rung."""

from application.ports.dispatcher import Dispatcher


class MemoryDispatcher(Dispatcher):
    """Records every ring, uncoalesced: `rings` holds (subscription, event id) in order."""

    def __init__(self) -> None:
        self.rings: list[tuple[str, str | None]] = []

    def ring(self, subscription: str, *, event_id: str | None = None) -> None:
        self.rings.append((subscription, event_id))
