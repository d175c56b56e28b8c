"""What tests of whole processes share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.slow_service import Scale, running


@pytest.fixture
def scale(tmp_path: Path, postgres_url: str, broker: str, elasticsearch_url: str) -> Iterator[Scale]:
    with running(tmp_path, postgres_url, broker, elasticsearch_url, lease_seconds="3") as found:
        yield found
