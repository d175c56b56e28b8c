"""Watched: a port whose every call goes through one function, which may break it before or after."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from tests.reliability.truth import Ports

Around = Callable[[str, str, Callable[[], Any], tuple[Any, ...]], Any]
"""Is given the names of a port and a method, the call itself, and its positional arguments."""
STORE = (
    "events", "contexts", "claims", "states", "replays", "promotions", "codes", "ledger", "dead_letters", "controls",
    "seals", "log_ids", "api_keys", "audit",
)  # fmt: skip


class Watched:
    """Stands for a port. What is not a method is read through."""

    def __init__(self, name: str, port: Any, around: Around) -> None:
        self._name = name
        self._port = port
        self._around = around

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._port, method)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            return self._around(self._name, method, partial(found, *arguments, **named), arguments)

        # The next time it is found without being looked for here.
        setattr(self, method, call)
        return call


def watched_store(ports: Ports, around: Around) -> SimpleNamespace:
    """A store with each of its ports watched."""
    return SimpleNamespace(**{name: Watched(name, getattr(ports, name), around) for name in STORE})
