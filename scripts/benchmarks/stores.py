"""Stores without a service: made empty, and filled with flights that have run."""

import tempfile
from contextlib import ExitStack
from typing import Any

from infrastructure import logging
from scripts.benchmarks import flights
from scripts.benchmarks.site import container_of
from scripts.benchmarks.site import database as empty_database


def opened(database: str, stack: ExitStack) -> Any:
    """A container on an empty, migrated store that knows its subscriptions: "sqlite" or "postgres"."""
    logging.configure("json", "warning")
    environment = {"PLAYHEAD_HOME": stack.enter_context(tempfile.TemporaryDirectory())}
    if database == "postgres":
        environment["DATABASE_URL"] = empty_database(stack)
    container: Any = container_of(environment)
    store = container.store()
    stack.callback(store.close)
    store.upgrade()
    store.claims.register(container.subscriptions().values())
    return container


def append(container: Any, events: int) -> None:
    """Append flights to a store."""
    left = events
    for batch in flights.new_events(-(-events // flights.FLIGHTS)):
        container.events().append(batch[:left])
        left -= len(batch[:left])


def fill(container: Any, events: int) -> None:
    """Append flights to a store, and run each through its pipeline."""
    append(container, events)
    engine = container.engine()
    while engine.turn("flights", seconds=600):
        pass
