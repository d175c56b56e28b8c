"""Truth: what a run has left in the stores, read past every wrapper once all has settled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from pydantic_core import from_json

from application.ports.claims import Backlog, Claims
from application.ports.context_log import ContextLog, RecordedContext
from application.ports.event_log import EventLog
from application.ports.promotions import Promotions
from application.ports.replays import Replays
from application.ports.search_index import SearchIndex, SearchQuery
from application.ports.task_states import TaskState, TaskStates
from application.subscription import Selection
from domain.events import RecordedEvent


class Ports(Protocol):
    """The ports of one database."""

    events: EventLog
    contexts: ContextLog
    claims: Claims
    states: TaskStates
    replays: Replays
    promotions: Promotions


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Everything that can be read of a store and an index."""

    events: Sequence[RecordedEvent]
    contexts: Sequence[RecordedContext]
    states: Sequence[TaskState]
    backlogs: Mapping[str, Backlog]
    promoted: Sequence[int]
    """The generations that are promoted, from the one that holds first."""
    documents: Sequence[Mapping[str, Any]]
    heads: tuple[int, int]

    @classmethod
    def of(cls, ports: Ports, index: SearchIndex) -> "Truth":
        """Read it all."""
        events = ports.events.read(Selection(), limit=100_000)
        return cls(
            events=events,
            contexts=ports.contexts.read(Selection(), limit=100_000),
            states=ports.states.of(events),
            backlogs=ports.claims.backlog(ports.claims.subscriptions()),
            promoted=ports.promotions.current().promoted,
            documents=index.search(SearchQuery(size=1000, sort="position")).hits,
            heads=(ports.events.head(), ports.contexts.head()),
        )

    @cached_property
    def runs(self) -> dict[tuple[int, int], list[RecordedContext]]:
        """The contexts of each (event position, generation), in order."""
        found: dict[tuple[int, int], list[RecordedContext]] = {}
        for context in self.contexts:
            found.setdefault((context.event_position, context.generation), []).append(context)
        return found

    @cached_property
    def data(self) -> dict[int, Any]:
        """The data of each event, parsed."""
        return {event.position: from_json(event.data) for event in self.events}

    def kind(self, event: RecordedEvent) -> str:
        """What the event does to the one who runs it."""
        return str(self.data[event.position].get("kind", "plain"))


def run_of(context: RecordedContext) -> Mapping[str, Any]:
    """The run data of a context."""
    members: Mapping[str, Any] = from_json(context.context)["run"]
    return members
