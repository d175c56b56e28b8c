"""The sweep: rings for due work that nobody claims, after 2 s, then every 4 s."""

from collections.abc import Iterator

import pytest

from application.ports.claims import Backlog
from application.sweep import Sweeper
from infrastructure.memory.dispatcher import MemoryDispatcher


class Swept:
    """A sweeper on a clock and on backlogs that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.backlogs: dict[str, Backlog] = {}
        self.dispatcher = MemoryDispatcher()
        self.sweeper = Sweeper(self, self.dispatcher, ["a", "b"], clock=lambda: self.now)

    def backlog(self, names):
        return {name: backlog for name, backlog in self.backlogs.items() if name in names}

    def has(self, name: str = "a", *, due: bool = True, mark: tuple[int, int] = (1, 1)) -> None:
        self.backlogs[name] = Backlog(cursor=0, head=9, claims=0, due=0, claimed=0, has_due=due, mark=mark)

    def rung_at(self, seconds: int, *, since: int = 0) -> Iterator[int]:
        """Sweep each second; the seconds at which something was rung."""
        for second in range(since, seconds):
            self.now = float(second)
            if self.sweeper.sweep():
                yield second


@pytest.fixture
def swept() -> Swept:
    return Swept()


def test_due_work_that_nobody_claims_is_rung_after_2_seconds_and_then_every_4(swept: Swept) -> None:
    swept.has()

    assert list(swept.rung_at(16)) == [2, 6, 10, 14]
    assert swept.dispatcher.rings == [("a", None)] * 4


def test_nothing_is_rung_while_claims_are_made(swept: Swept) -> None:
    rung = []
    for second in range(20):
        swept.has(mark=(1, second))
        rung += swept.rung_at(second + 1, since=second)

    assert rung == []


def test_a_claim_begins_the_wait_anew(swept: Swept) -> None:
    swept.has()
    assert list(swept.rung_at(4)) == [2]

    swept.has(mark=(2, 1))

    assert list(swept.rung_at(12, since=4)) == [6, 10]


def test_what_is_done_is_forgotten(swept: Swept) -> None:
    swept.has()
    assert list(swept.rung_at(3)) == [2]
    swept.has(due=False)
    assert list(swept.rung_at(9, since=3)) == []

    swept.has()

    assert list(swept.rung_at(13, since=9)) == [11]


def test_each_subscription_waits_for_itself(swept: Swept) -> None:
    swept.has("a")
    assert list(swept.rung_at(2)) == []
    swept.has("b")
    assert list(swept.rung_at(5, since=2)) == [2, 4]

    assert swept.dispatcher.rings == [("a", None), ("b", None)]


def test_a_subscription_that_is_not_registered_is_passed_over(swept: Swept) -> None:
    assert swept.sweeper.sweep() == []
