"""The bug zoo: every deliberate break is caught by the harness that must catch it, and for the right reason."""

import re
from collections.abc import Iterator

import pytest

from tests.reliability import figures
from tests.reliability.crash_points import Enumeration
from tests.reliability.grounds import ground
from tests.reliability.zoo import claims, logs, policies  # noqa: F401  # they fill the zoo
from tests.reliability.zoo.registry import ZOO, Bug, found_by_points, found_by_seeds


@pytest.fixture(scope="module")
def enumeration() -> Iterator[Enumeration]:
    """The crash points on SQLite, their parts run before any bug is planted."""
    with ground(None) as on:
        yield Enumeration(on)


@pytest.mark.parametrize("bug", ZOO, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Bug, enumeration: Enumeration) -> None:
    found = found_by_seeds(bug) if bug.harness == "simulator" else found_by_points(bug, enumeration)

    assert found is not None, f"the {bug.harness} does not see that {bug.name}"
    assert re.search(bug.shows, found), found
    figures.count("bug zoo", len(ZOO))


def test_the_zoo_is_complete() -> None:
    assert len(ZOO) >= 24
    assert len({bug.name for bug in ZOO}) == len(ZOO)
