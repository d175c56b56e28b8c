"""What every keeper of replays promises: plans under ascending ids, read back as they were."""

from datetime import UTC, datetime, timedelta

import pytest

from application.subscription import Selection
from tests.factories import EPOCH
from tests.stores import Store


def test_there_are_no_replays_at_first(store: Store):
    assert store.replays.list() == []
    assert store.replays.get(1) is None


@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(where={"type": "a", "route": None, "direct": False}),
        Selection(since=EPOCH, until=EPOCH + timedelta(microseconds=1), after=3, last=9),
        Selection(positions=tuple(range(1, 5_000))),
    ],
    ids=["everything", "where", "bounds", "positions"],
)
def test_a_plan_is_read_back_as_it_was_kept(store: Store, selection: Selection):
    kept = store.replays.create(selection, {"orders": "f1", "others": "f2"}, 17)
    assert (kept.id, kept.count, kept.selection) == (1, 17, selection)
    assert kept.fingerprints == {"orders": "f1", "others": "f2"}
    assert abs(kept.created_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert store.replays.get(kept.id) == kept
    assert store.replays.list() == [kept]


def test_ids_ascend_from_one_and_the_newest_is_listed_first(store: Store):
    plans = [store.replays.create(Selection(after=number), {}, number) for number in range(3)]
    assert [plan.id for plan in plans] == [1, 2, 3]
    assert store.replays.list() == plans[::-1]
    assert store.replays.get(2) == plans[1]
    assert store.replays.get(4) is None


def test_nothing_is_decided_about_a_replay_at_first(store: Store):
    assert store.replays.decided(1) == {}


def test_what_is_decided_first_holds_for_ever(store: Store):
    assert store.replays.decide(1, "effects", "skip") == "skip"
    assert store.replays.decide(1, "effects", "live") == "skip"
    assert store.replays.decide(1, "end", "aborted") == "aborted"
    assert store.replays.decide(2, "effects", "live") == "live"
    assert store.replays.decided(1) == {"effects": "skip", "end": "aborted"}
    assert store.replays.decided(2) == {"effects": "live"}
