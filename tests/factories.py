"""Factories: valid values of the domain and of the ports, each different from the last where it must be."""

from datetime import UTC, datetime

import factory

from application.ports.context_log import NewContext
from domain.events import NewEvent, RecordedEvent, derived_id

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_SOME_UUID7 = "01900000-0000-7000-8000-000000000000"


def event_id(number: int) -> str:
    """A valid event id, the same for the same number."""
    return derived_id(_SOME_UUID7, number)


class NewEventFactory(factory.Factory):
    """An event routed to the pipeline `orders`, of a subject of its own, without a key."""

    class Meta:
        model = NewEvent

    id = factory.Sequence(event_id)
    type = "order.placed"
    source = "shop"
    subject = factory.Sequence("order-{}".format)
    data = factory.Sequence('{{"number": {}}}'.format)
    route = "orders"


class RecordedEventFactory(factory.Factory):
    """The event at a position of the log."""

    class Meta:
        model = RecordedEvent

    position = factory.Sequence(lambda number: number + 1)
    id = factory.Sequence(event_id)
    type = "order.placed"
    source = "shop"
    subject = factory.Sequence("order-{}".format)
    time = EPOCH
    recorded_at = EPOCH
    route = "orders"
    lane = 0
    data = factory.Sequence('{{"number": {}}}'.format)


class NewContextFactory(factory.Factory):
    """A completed live context of event 1, as the pipeline `orders` would hand it to a completion."""

    class Meta:
        model = NewContext

    event_position = 1
    pipeline = "orders"
    generation = 0
    status = "completed"
    context = factory.Sequence('{{"run": {}}}'.format)
    digest = factory.Sequence("{:064x}".format)
    fingerprint = "f" * 64
