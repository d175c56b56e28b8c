"""The front door without HTTP: a submission is accepted and handed to the appender, as `POST /events` does it."""

from concurrent.futures import Future

from application.ports.event_log import Verdict
from application.use_cases.events import accept, answered_before
from domain.envelopes import Submission
from domain.errors import InvalidEvent
from infrastructure.container import Container


def submit(submission: Submission, container: Container) -> "Future[list[Verdict]]":
    """The answer to come."""
    try:
        new = accept(
            submission,
            registry=container.registry(),
            unknown_types=container.settings().unknown_types,
            admission=container.admission(),
            new_id=container.new_id,
        )
    except InvalidEvent as error:
        known: Future[list[Verdict]] = Future()
        before = answered_before(submission, events=container.events())
        known.set_result([before or Verdict(None, None, refusal=error)])
        return known
    return container.appender().submit([new])
