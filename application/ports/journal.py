"""Journal: told what happened, so that people and monitors can see it. It decides nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from application.ports.claims import Claim
from application.ports.context_log import NewContext


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimEnded:
    """A worked claim: how many rows it covered, how long it took, and what became of it.

    `fenced`: another had taken it meanwhile, nothing was stored. `refused`: the database refused the contexts.
    """

    claim: Claim
    rows: int
    seconds: float
    result: Literal["completed", "fenced", "refused"]
    contexts: Sequence[NewContext]
    requeued: int
    error: Exception | None = None


class Journal(Protocol):
    """Keeps one canonical line for each thing that is worth one."""

    def claim_ended(self, ended: ClaimEnded) -> None:
        """A claim was worked."""
        ...

    def completion_refused(self, claim: Claim, error: Exception) -> None:
        """The database refused what a run wanted to append."""
        ...

    def documents_rejected(self, event_ids: Sequence[str], reason: str) -> None:
        """The index refused documents; reduced ones were kept."""
        ...

    def failed(self, what: str, error: Exception) -> None:
        """Something in the background failed and will be tried again."""
        ...
