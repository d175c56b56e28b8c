"""The key ring: the keys that this process knows, read again when they are older than a few seconds."""

import time
from collections.abc import Callable, Mapping

from application.ports.api_keys import ApiKey, ApiKeys
from application.use_cases.keys import good_key
from domain.access import KEY

FRESH_SECONDS = 5.0
"""How old the known keys may be: a revoked one is refused after that at the latest."""
PAUSE_SECONDS = 0.1
"""How long the keys are not read again: an unknown one makes them be read, so that a new key is good at once, and a
flood of wrong ones costs the database next to nothing."""


class KeyRing:
    """Answers for a key without asking the database each time; all keys are read at once, for they are few."""

    def __init__(self, keys: ApiKeys, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._clock = clock
        self._known: Mapping[str, ApiKey] = {}
        self._read_at = float("-inf")

    def now(self) -> float:
        """The ring's own time, in seconds."""
        return self._clock()

    def must_look(self, text: str, *, since: float) -> bool:
        """Whether the keys are to be read before this one, which came at a time, can be judged."""
        if not KEY.fullmatch(text):
            return False  # nothing that could be read would make it one
        if self._clock() - self._read_at >= FRESH_SECONDS:
            return True
        return self._read_at < since and self.find(text) is None

    def pause(self) -> float:
        """Seconds to wait before the keys are read."""
        return max(0.0, self._read_at + PAUSE_SECONDS - self._clock())

    def look(self) -> None:
        """Read the keys.

        Raises:
            Unavailable: the database cannot be reached.
        """
        asked_at = self._clock()
        self._known = {key.id: key for key in self._keys.list()}
        self._read_at = asked_at

    def find(self, text: str) -> ApiKey | None:
        """The key that a text is, as far as is known; None where it is none that is good."""
        return good_key(text, known=self._known)
