"""The auditor: an actor's hand on the audit, so that a use case records what it does in one call."""

from dataclasses import dataclass
from typing import Any

from application.ports.audit import Audit, NewAuditEntry


@dataclass(frozen=True, slots=True)
class Auditor:
    """Writes what one actor does."""

    actor: str
    audit: Audit

    def record(self, action: str, target: str = "", **detail: Any) -> None:
        """Record an action, before it is done: nothing is done without its entry.

        An entry may so stand for an action that then failed; there is none that is missing.

        Raises:
            Unavailable: the entry cannot be kept.
        """
        self.audit.record(NewAuditEntry(actor=self.actor, action=action, target=target, detail=detail))
