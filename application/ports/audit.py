"""Audit: the record of who did what to the service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAuditEntry:
    """What an actor does: `cli:<operating-system user>`, `key:<name>`, or `http` where no keys are asked for.

    `target` is what it is done to, `detail` any JSON that explains it.
    """

    actor: str
    action: str
    target: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry(NewAuditEntry):
    """What an actor did, at its place in the record."""

    position: int
    recorded_at: datetime


class Audit(Protocol):
    """Keeps entries for ever, in the order of their commits, without a gap."""

    def record(self, entry: NewAuditEntry) -> AuditEntry:
        """Append an entry.

        Raises:
            Unavailable: the database cannot be reached; what was to be recorded must not be done then.
        """
        ...

    def read(self, *, action: str | None = None, limit: int = 100) -> Sequence[AuditEntry]:
        """The last entries, the newest first; of one action, or of a family (`keys` has `keys.create`).

        Raises:
            Unavailable: the database cannot be reached.
        """
        ...
