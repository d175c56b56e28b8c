"""What the routes may touch: the ports of one container, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from pydantic_core import to_jsonable_python

from application.appender import Appender
from application.follower import Follower
from application.ports.claims import Claims
from application.ports.context_log import ContextLog
from application.ports.event_log import EventLog
from application.ports.search_index import SearchIndex
from application.ports.task_states import EventFilter, TaskStates
from domain.registry import PipelineRegistry
from infrastructure.container import Container
from infrastructure.settings import Settings


class Links:
    """Links to further pages (RFC 8288)."""

    def next_page(self, cursor: str | None, limit: int, wanted: EventFilter) -> Mapping[str, str]:
        """The header that leads to the next page, none on the last."""
        if cursor is None:
            return {}
        filters = {name: getattr(wanted, name) for name in EventFilter.__slots__}
        query = {name: to_jsonable_python(value) for name, value in filters.items() if value is not None}
        return {"Link": f'</events?{urlencode({**query, "limit": limit, "cursor": cursor})}>; rel="next"'}


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The ports that the routes hand to the use cases."""

    settings: Settings
    registry: PipelineRegistry
    events: EventLog
    contexts: ContextLog
    claims: Claims
    states: TaskStates
    search_index: SearchIndex
    appender: Appender
    follower: Follower
    new_id: Callable[[], str]
    container: Container
    links: Links

    @classmethod
    def of(cls, container: Container) -> "Api":
        """The ports of a container. Nothing is opened."""
        return cls(
            settings=container.settings(),
            registry=container.registry(),
            events=container.events(),
            contexts=container.contexts(),
            claims=container.claims(),
            states=container.states(),
            search_index=container.search_index(),
            appender=container.appender(),
            follower=container.follower(),
            new_id=container.new_id,
            container=container,
            links=Links(),
        )

    def task_ports(self) -> dict[str, Any]:
        """What reading a task touches."""
        return {
            "events": self.events,
            "contexts": self.contexts,
            "states": self.states,
            "registry": self.registry,
        }


def api(request: Request) -> Api:
    """The ports of the application that a request came to."""
    found: Api = request.app.state.api
    return found
