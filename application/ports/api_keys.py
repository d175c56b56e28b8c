"""ApiKeys: who may call, and with which scopes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.access import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey:
    """A key as it is kept: `digest` is the SHA-256 of its secret, in hexadecimal digits.

    The secret is 256 random bits. Nobody can try so many, so a slow hash, as passwords need, would add nothing.
    """

    id: str
    name: str
    digest: str
    scopes: tuple[Scope, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey(NewApiKey):
    """A kept key; with `revoked_at` it is good no longer."""

    created_at: datetime
    revoked_at: datetime | None = None


class ApiKeys(Protocol):
    """Keeps the keys; none is ever removed, so that a name in the audit stays explained."""

    def create(self, new: NewApiKey) -> ApiKey:
        """Keep a key.

        Raises:
            InvalidRequest: there is or was another of this name.
            Unavailable: the database cannot be reached.
        """
        ...

    def list(self) -> Sequence[ApiKey]:
        """All keys, the oldest first.

        Raises:
            Unavailable: the database cannot be reached.
        """
        ...

    def revoke(self, key_id: str) -> ApiKey:
        """Let a key be good no longer; one that was revoked stays as it was.

        Raises:
            NotFound: there is no such key.
            Unavailable: the database cannot be reached.
        """
        ...
