"""The container of a command: settings from its flags, stores opened and closed around it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from interfaces.cli import output

if TYPE_CHECKING:
    from infrastructure.container import Container
    from infrastructure.settings import Settings


def settings_of(**flags: Any) -> "Settings":
    """The settings, these flags first; what a command says from now on shows none of their secrets.

    Raises:
        Misconfigured: a setting is wrong.
    """
    from infrastructure.settings import load

    settings = load(**flags)
    output.cover(settings.mask())
    return settings


def container_of(**flags: Any) -> "Container":
    """A container whose settings put these flags first. Logging is set up; nothing is opened.

    Raises:
        Misconfigured: a setting is wrong.
    """
    from dependency_injector import providers

    from infrastructure import logging
    from infrastructure.container import Container

    settings = settings_of(**flags)
    logging.configure(settings.log_format, settings.log_level, settings.mask())
    return Container(settings=providers.Object(settings))


@contextmanager
def opened(*, migrated: bool = True, **flags: Any) -> Iterator["Container"]:
    """A container for a command that looks into the stores; they are closed at its end. Flags as in `container_of`.

    Raises:
        Misconfigured: with `migrated`, migrations are missing.
    """
    container = container_of(log_level="warning", **flags)
    container.owner_kind.override("command")  # its leases are not those of a service
    store = container.store()
    try:
        if migrated:
            store.require_newest()
        yield container
    finally:
        store.close()
