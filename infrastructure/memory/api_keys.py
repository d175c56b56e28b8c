"""MemoryApiKeys: keys as a list."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from application.ports.api_keys import ApiKey, ApiKeys, NewApiKey
from domain.errors import InvalidRequest, NotFound
from infrastructure.memory.tables import MemoryTables


class MemoryApiKeys(ApiKeys):
    """Keeps keys in memory."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def create(self, new: NewApiKey) -> ApiKey:
        with self._tables.lock:
            if any(new.name == key.name or new.id == key.id for key in self._tables.api_keys):
                raise InvalidRequest(f"There is or was a key called {new.name!r}, or one with this id.")
            key = ApiKey(**asdict(new), created_at=self._tables.clock())
            self._tables.api_keys.append(key)
            return key

    def list(self) -> Sequence[ApiKey]:
        with self._tables.lock:
            return tuple(self._tables.api_keys)

    def revoke(self, key_id: str) -> ApiKey:
        with self._tables.lock:
            for index, key in enumerate(self._tables.api_keys):
                if key.id == key_id:
                    revoked = replace(key, revoked_at=key.revoked_at or self._tables.clock())
                    self._tables.api_keys[index] = revoked
                    return revoked
        raise NotFound(f"There is no key {key_id[:80]!r}. `playhead keys list` has them.")
