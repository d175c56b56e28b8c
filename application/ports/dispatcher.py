"""Dispatcher: the doorbell. Losing, doubling or delaying every ring changes nothing but latency."""

from typing import Protocol


class Dispatcher(Protocol):
    """Wakes a worker for a subscription. Never raises and never waits for a broker."""

    def ring(self, subscription: str, *, event_id: str | None = None) -> None:
        """Say that a subscription has work, after the commit that made it.

        `event_id`, of one event of that commit, is named where there is one. Rings of one subscription are
        coalesced, but one is always sent after the last call.
        """
        ...


class Silence(Dispatcher):
    """Rings nobody: for a process that works alone."""

    def ring(self, subscription: str, *, event_id: str | None = None) -> None:
        """Do nothing."""
