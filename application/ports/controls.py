"""Controls: what an operator decides about subscriptions."""

from collections.abc import Sequence
from typing import Protocol


class Controls(Protocol):
    """Pauses subscriptions, and hands the events of one pipeline to another."""

    def named(self, name: str) -> list[str]:
        """The registered subscriptions that a name means: those of the pipeline of this name, or the one so called."""
        ...

    def pause(self, subscriptions: Sequence[str]) -> None:
        """Let nothing of these be claimed from now on; what is claimed already is worked to its end."""
        ...

    def resume(self, subscriptions: Sequence[str]) -> None:
        """Let these be claimed again."""
        ...

    def adopt(self, old: str, new: str) -> int:
        """Give all events of a pipeline that have not ended to another, each by a claim of its own; how many.

        What is being worked at is fenced, and runs again. Retries and delays keep their time. In order the events keep
        theirs, but among those of the other pipeline. Dead letters stay with the old name.

        Raises:
            NotFound: one of the two has no registered subscription.
            Unavailable: the database cannot be reached.
        """
        ...
