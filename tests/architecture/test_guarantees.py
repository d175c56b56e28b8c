"""docs/guarantees.md: every line names a test that is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.findall(r"`(tests/[\w/]+\.py): (test_\w+)`", (ROOT / "docs/guarantees.md").read_text())


def test_the_page_has_lines() -> None:
    assert len(NAMED) > 40


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_guarantee_names_a_test_that_is_there(file: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / file).read_text()
