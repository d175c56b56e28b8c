"""What every service says about itself: its name, packages, ports, and how to start and to ask it."""

import os
import pwd
import signal
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from local_services.processes import Process, ServiceError


class Service(ABC):
    """One server of the tests. The name is its marker in the tests and its service in docker-compose.yml."""

    name: ClassVar[str]
    variable: ClassVar[str]
    port_variable: ClassVar[str]
    user: ClassVar[str | None] = None  # whom root becomes for a server that refuses root
    number_of_ports: ClassVar[int] = 1
    patience: ClassVar[float] = 60  # seconds until the first answer
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    @abstractmethod
    def lacking(self) -> list[str]:
        """The Debian packages that this machine would need to start it."""

    def fetch(self) -> None:  # noqa: B027  (most have nothing to fetch)
        """Get what no package brings."""

    def is_fetched(self) -> bool:
        """Whether nothing is left to fetch."""
        return True

    @abstractmethod
    def url(self, port: int) -> str:
        """The address that clients are given, the same for a container."""

    @abstractmethod
    def launch(self, directory: Path, ports: list[int]) -> Iterator[Process]:
        """Start its processes one by one, the server last; a directory that was used before holds its data still."""

    @abstractmethod
    def answers(self, url: str) -> bool:
        """Whether it serves clients at this address now."""

    def prepare(self, ports: list[int]) -> None:  # noqa: B027  (most need nothing)
        """What clients expect to find after the first answer; harmless when done before."""

    def run_as(self) -> str | None:
        """The user whom root becomes; none where this is not root."""
        if self.user is None or os.geteuid() != 0:
            return None
        for user in (self.user, "nobody"):
            try:
                return pwd.getpwnam(user).pw_name
            except KeyError:
                continue
        raise ServiceError(f"no user {self.user} or nobody to run it as")
