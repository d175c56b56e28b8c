"""A run that takes too long has its process ended, also one that never lets another thread in."""

import subprocess
import sys

import pytest

from infrastructure.limits import PAST_LIMIT

_PROGRAM = """
import re, time
from application.ports.claims import Claim
from infrastructure.limits import ProcessLimits

def loop():
    while True:
        pass

def backtrack():
    re.match(r"(a+)+$", "a" * 64 + "b")

def be_quick():
    time.sleep(0.05)

claim = Claim(id=1, subscription="orders", first=7, last=9, attempt=0, deaths=1, fence=3)
with ProcessLimits().within({limit}, claim, lambda: "position 8, node match"):
    {run}()
time.sleep({after})
print("went on")
"""


def ended(run: str, *, limit: float = 0.2, after: float = 0.0) -> subprocess.CompletedProcess[str]:
    program = _PROGRAM.format(run=run, limit=limit, after=after)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )  # our own program


def test_an_endless_loop_is_ended_with_the_name_of_its_event() -> None:
    process = ended("loop")

    assert process.returncode == PAST_LIMIT
    assert "run_past_limit" in process.stdout + process.stderr
    assert "position 8, node match" in process.stdout + process.stderr


@pytest.mark.timeout(60)
def test_a_run_that_lets_no_other_thread_in_is_ended_with_its_stack() -> None:
    process = ended("backtrack")

    assert process.returncode != 0
    assert "in backtrack" in process.stderr
    assert "went on" not in process.stdout


def test_a_run_within_its_limit_goes_on_for_good() -> None:
    process = ended("be_quick", after=1.5)

    assert (process.returncode, process.stdout) == (0, "went on\n")
