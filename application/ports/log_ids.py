"""LogIds: which log this is. A log that was put back to an older state is another one, and gets another id."""

from collections.abc import Mapping
from typing import Protocol

from application.subscription import Log
from domain.seals import Restore


class LogIds(Protocol):
    """Keeps the id of each log, and what is known of restores."""

    def of(self, log: Log) -> str:
        """The id that a log has now."""
        ...

    def require_writable(self) -> None:
        """Make sure that this store takes writes, and so has the newest state of its logs.

        Raises:
            Unavailable: it is a standby, which may be behind. By what it has nothing outside is judged or changed.
        """
        ...

    def renew(self, ids: Mapping[Log, str]) -> list[Restore]:
        """Give logs new ids in one commit; each change is kept with where the log was, and is never changed."""
        ...

    def restores(self, log: Log) -> list[Restore]:
        """The changes of a log's id, in order."""
        ...
