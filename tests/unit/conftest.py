"""Unit tests have no network. What tests of the engine share."""

import pytest
from pytest_socket import disable_socket

from tests.unit.engines import Bench


@pytest.fixture(autouse=True)
def no_network() -> None:
    # Unix sockets stay: event loops wake themselves by a pair of them. The plugin enables all again at the end.
    disable_socket(allow_unix_socket=True)


@pytest.fixture
def bench() -> Bench:
    return Bench()
