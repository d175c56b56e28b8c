"""Limits: ends a process whose run takes too long; nothing inside of it could be trusted to end."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from application.ports.claims import Claim


class Limits(Protocol):
    """Watches over runs that must not take longer than some seconds."""

    def within(self, seconds: float, claim: Claim, where: Callable[[], str]) -> AbstractContextManager[None]:
        """End this process, saying which claim it was and where its run is, when the block takes longer than that."""
        ...


class NoLimits(Limits):
    """Lets every run take as long as it takes: for a process that nobody starts again."""

    def within(self, seconds: float, claim: Claim, where: Callable[[], str]) -> AbstractContextManager[None]:  # noqa: ARG002
        """Do nothing."""
        return nullcontext()
