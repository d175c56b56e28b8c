"""The harnesses say at the end of a test run what they came to."""

import pytest

from tests.reliability import figures


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for what, figure in figures.said.items():
        terminalreporter.write_line(f"{what}: {figure}")
