"""What every event log answers to each event of an append: taken, repeated or refused."""

import pytest

from application.ports.event_log import MAX_ATOMIC, Verdict
from domain.errors import AtomicRefused, KeyReused, WrongExpectedVersion
from domain.events import NewEvent
from tests.factories import NewEventFactory
from tests.stores import Store


def keyed(key: str = "k", **changes) -> NewEvent:
    return NewEventFactory(**{"key": key, "subject": "s", "data": "{}", **changes})


def shape(verdicts: list[Verdict]) -> list[object]:
    """A position where taken, ("repeated", position), or the class of the refusal."""
    return [
        type(verdict.refusal)
        if verdict.refusal
        else ("repeated", verdict.position)
        if verdict.repeated
        else verdict.position
        for verdict in verdicts
    ]


def test_a_known_key_with_the_same_body_repeats_the_first_answer(store: Store):
    first = keyed()
    store.events.append([first])
    [verdict] = store.events.append([keyed()])
    assert verdict == Verdict(first.id, 1, repeated=True)
    assert store.events.head() == 1


@pytest.mark.parametrize("change", [{"data": '{"a":1}'}, {"type": "other"}, {"subject": "t"}, {"data": "{ }"}])
def test_a_known_key_with_another_body_is_refused(store: Store, change: dict[str, str]):
    store.events.append([keyed()])
    [verdict] = store.events.append([keyed(**change)])
    assert (verdict.event_id, verdict.position, verdict.repeated) == (None, None, False)
    assert isinstance(verdict.refusal, KeyReused)
    assert "'k'" in verdict.refusal.detail
    assert "'shop'" in verdict.refusal.detail
    assert store.events.head() == 1


def test_what_is_not_of_the_body_may_differ_in_a_repeat(store: Store):
    first = keyed()
    store.events.append([first])
    [verdict] = store.events.append([keyed(route="moved", schema_version=2, attributes={"trace": "1"})])
    assert verdict == Verdict(first.id, 1, repeated=True)


def test_a_key_is_one_with_its_source(store: Store):
    assert shape(store.events.append([keyed(), keyed(source="mill"), keyed(source="")])) == [1, 2, 3]
    assert shape(store.events.append([keyed(source=""), keyed(source="mill")])) == [("repeated", 3), ("repeated", 2)]
    assert shape(store.events.append([keyed(source="mill", data="[]")])) == [KeyReused]


def test_events_without_a_key_are_never_repeats(store: Store):
    assert shape(store.events.append([keyed(key=None), keyed(key=None)])) == [1, 2]


def test_many_known_keys_are_recognised_in_one_append(store: Store):
    store.events.append([keyed(f"k{number}") for number in range(450)])
    again = store.events.append([keyed(f"k{number}") for number in range(500)])
    assert shape(again) == [*(("repeated", position) for position in range(1, 451)), *range(451, 501)]


def test_a_twin_in_the_same_append_repeats_the_first(store: Store):
    first, twin, third = keyed(), keyed(), keyed("other")
    assert store.events.append([first, twin, third]) == [
        Verdict(first.id, 1),
        Verdict(first.id, 1, repeated=True),
        Verdict(third.id, 2),
    ]
    assert store.events.head() == 2


def test_a_twin_with_another_body_is_refused(store: Store):
    assert shape(store.events.append([keyed(), keyed(data="[]"), keyed()])) == [1, KeyReused, ("repeated", 1)]


def test_a_twin_of_a_repeat_is_a_repeat(store: Store):
    store.events.append([keyed()])
    assert shape(store.events.append([keyed(), keyed(), keyed(data="[]")])) == [
        ("repeated", 1),
        ("repeated", 1),
        KeyReused,
    ]


def test_a_twin_of_a_refused_event_is_refused_as_it_was(store: Store):
    first = keyed(expected_version=5)
    verdicts = store.events.append([first, keyed(expected_version=5)])
    assert shape(verdicts) == [WrongExpectedVersion, WrongExpectedVersion]
    assert store.events.head() == 0


def test_a_refused_event_leaves_its_key_free(store: Store):
    store.events.append([keyed(expected_version=5)])
    assert shape(store.events.append([keyed(data="[]")])) == [1]


def test_a_repeat_is_not_asked_for_its_expected_version(store: Store):
    store.events.append([keyed(expected_version=0)])
    assert shape(store.events.append([keyed(expected_version=0)])) == [("repeated", 1)]


def test_expected_version_zero_means_that_the_subject_has_no_event(store: Store):
    assert shape(store.events.append([NewEventFactory(subject="s", expected_version=0)])) == [1]
    [verdict] = store.events.append([NewEventFactory(subject="s", expected_version=0)])
    assert isinstance(verdict.refusal, WrongExpectedVersion)
    assert verdict.refusal.current == 1
    assert "'s'" in verdict.refusal.detail
    assert store.events.head() == 1


def test_the_version_of_a_subject_is_the_position_of_its_last_event(store: Store):
    store.events.append([NewEventFactory(subject=subject) for subject in ("t", "s", "t", "s", "t")])
    refused = store.events.append([NewEventFactory(subject="s", expected_version=old) for old in (2, 5, 6)])
    assert [verdict.refusal.current for verdict in refused if verdict.refusal] == [4, 4, 4]
    assert shape(store.events.append([NewEventFactory(subject="s", expected_version=4)])) == [6]


def test_events_of_one_append_see_those_before_them(store: Store):
    store.events.append([NewEventFactory(subject="t")])
    batch = [
        NewEventFactory(subject="s", expected_version=0),
        NewEventFactory(subject="s", expected_version=0),
        NewEventFactory(subject="t", expected_version=1),
        NewEventFactory(subject="s", expected_version=2),
        NewEventFactory(subject="t", expected_version=3),
    ]
    assert shape(store.events.append(batch)) == [2, WrongExpectedVersion, 3, 4, 5]


def test_a_version_counts_neither_refused_nor_repeated_events_before_it(store: Store):
    store.events.append([keyed()])
    batch = [keyed(), keyed(data="[]"), NewEventFactory(subject="s", expected_version=1)]
    assert shape(store.events.append(batch)) == [("repeated", 1), KeyReused, 2]


def test_an_event_without_a_subject_has_no_version_but_zero(store: Store):
    none = {"subject": "", "expected_version": 0}
    assert shape(store.events.append([NewEventFactory(subject=""), NewEventFactory(**none)])) == [1, 2]
    assert shape(store.events.append([NewEventFactory(**none)])) == [3]


def test_one_refusal_refuses_a_whole_atomic_batch(store: Store):
    store.events.append([keyed()])
    batch = [NewEventFactory(), keyed(data="[]"), NewEventFactory(subject="s", expected_version=0), NewEventFactory()]

    verdicts = store.events.append(batch, atomic=True)

    assert shape(verdicts) == [AtomicRefused, KeyReused, WrongExpectedVersion, AtomicRefused]
    assert all((verdict.event_id, verdict.position) == (None, None) for verdict in verdicts)
    assert store.events.head() == 1
    assert all(store.events.get(event.id) is None for event in batch)


def test_a_repeat_is_no_refusal_to_an_atomic_batch(store: Store):
    store.events.append([keyed()])
    assert shape(store.events.append([NewEventFactory(), keyed(), NewEventFactory()], atomic=True)) == [
        2,
        ("repeated", 1),
        3,
    ]


def test_the_twin_of_a_refused_event_is_refused_as_it_is(store: Store):
    wrong = [keyed("a", subject="s", expected_version=7), keyed("a", subject="s", expected_version=7)]
    for atomic in (False, True):
        assert shape(store.events.append(wrong, atomic=atomic)) == [WrongExpectedVersion, WrongExpectedVersion]


def test_in_a_refused_atomic_batch_what_was_stored_before_stays_a_repeat_and_a_twin_does_not(store: Store):
    store.events.append([keyed("old")])
    batch = [keyed("old"), keyed("new"), keyed("new"), keyed("old", data="[]")]
    assert shape(store.events.append(batch, atomic=True)) == [
        ("repeated", 1),
        AtomicRefused,
        AtomicRefused,
        KeyReused,
    ]
    assert store.events.head() == 1


def test_a_refused_atomic_batch_may_be_sent_again_without_its_fault(store: Store):
    batch = [keyed("a"), keyed("b", expected_version=9)]
    store.events.append(batch, atomic=True)
    assert shape(store.events.append([batch[0], keyed("b")], atomic=True)) == [1, 2]


def test_the_largest_atomic_batch_is_taken_whole(store: Store):
    verdicts = store.events.append(NewEventFactory.build_batch(MAX_ATOMIC), atomic=True)
    assert shape(verdicts) == list(range(1, MAX_ATOMIC + 1))
    assert store.events.head() == MAX_ATOMIC
