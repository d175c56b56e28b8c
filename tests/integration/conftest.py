"""Fixtures of the tests through HTTP, and through the command line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli import Cli, command_line
from tests.end_to_end.processes import wait_until
from tests.integration.http import Http, event, flight, served


@pytest.fixture
def http(database_url: str, tmp_path: Path) -> Iterator[Http]:
    """The application without an engine: what is stored stays queued."""
    with served(database_url, tmp_path) as found:
        yield found


@pytest.fixture
def working(database_url: str, tmp_path: Path) -> Iterator[Http]:
    """The application with its engine's threads."""
    with served(database_url, tmp_path, engine=True) as found:
        yield found


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_url: str
) -> Iterator[Cli]:
    """A command line beside a migrated database without events."""
    with command_line(capsys, monkeypatch, tmp_path) as found:
        yield found


@pytest.fixture
def ran(cli: Cli, sqlite_url: str) -> list[str]:
    """The ids of three flights that ran: one on time, two late; the second late one very much."""
    with served(sqlite_url, cli.home, engine=True) as http:
        posted = [http.post(event(subject=f"F{delay}", data=flight(arr_delay=delay))) for delay in (0.0, 20.0, 200.0)]
        wait_until(lambda: http.post({"size": 0}, path="/search").json()["total"] == 4)
    return [answer.json()["event_id"] for answer in posted]
