"""Fixtures of the tests through HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.http import Http, served


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
