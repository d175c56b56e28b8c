"""What a worker does when the bell rings: one turn. A message is believed in nothing but that there may be work."""

from collections.abc import Callable

from application.engine import Engine
from application.ports.event_log import EventLog
from application.ports.task_states import TaskStates
from application.use_cases.events import get_event
from domain.errors import NotFound, Unavailable
from domain.events import RecordedEvent
from infrastructure.journal import LogJournal


class Bell:
    """The two tasks' bodies, on the ports of one worker process."""

    def __init__(
        self,
        engine: Engine,
        events: EventLog,
        states: TaskStates,
        journal: LogJournal,
        subscription_with: Callable[[RecordedEvent], str | None],
    ) -> None:
        """`subscription_with` names the subscription that has an event."""
        self._engine = engine
        self._subscription_with = subscription_with
        self._events = events
        self._states = states
        self._journal = journal

    def process_incoming_event(self, event_id: object) -> str | None:
        """Work one turn of the event's route; the event's status afterwards.

        An id of no event, or anything else, is counted and dropped. An event without a route is left as it is.
        """
        try:
            event = get_event(event_id if isinstance(event_id, str) else "", events=self._events)
            subscription = self._subscription_with(event)
            if subscription is not None:
                self._engine.turn(subscription)
            return self._states.of([event])[0].status
        except NotFound:
            self._journal.message_dropped("process_incoming_event names no event")
        except Unavailable as error:
            # The sweep rings again once the database is back.
            self._journal.failed("process_incoming_event", error)
        return None

    def ring(self, subscription: object) -> None:
        """Work one turn of a subscription. A name that this process has not loaded is counted and dropped."""
        if not isinstance(subscription, str) or subscription not in self._engine.works:
            self._journal.message_dropped("ring names no subscription of this worker")
            return
        try:
            self._engine.turn(subscription)
        except Unavailable as error:
            self._journal.failed(f"turn of {subscription}", error)
