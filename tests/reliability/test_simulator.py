"""The simulator: whatever the weather of a seed, every guarantee holds at each step and at the end."""

import pytest

from tests.reliability import figures
from tests.reliability.simulator.seeds import Summary, run_chunk, run_seeds
from tests.reliability.simulator.weather import names

SEEDS = range(2_000)


@pytest.fixture(scope="module")
def summary() -> Summary:
    summary = Summary()
    for part in run_seeds(SEEDS):
        summary.add(part)
    figures.say("simulator", str(summary))
    return summary


@pytest.mark.timeout(1800)
def test_two_thousand_seeds_break_no_guarantee(summary: Summary) -> None:
    assert summary.seeds == len(SEEDS)
    assert summary.failed == [], "`scripts/simulate --trace SEED` shows how it came to that"


@pytest.mark.timeout(1800)
def test_every_kind_of_fault_strikes_and_no_seed_is_idle(summary: Summary) -> None:
    assert summary.fewest_steps >= 300
    assert set(summary.faults) == set(names()) - {"skew"}


@pytest.mark.timeout(1800)
def test_a_seed_gives_the_same_steps_again_and_in_another_process(summary: Summary) -> None:
    again = run_chunk(range(100))

    assert again.digests == {seed: summary.digests[seed] for seed in range(100)}
