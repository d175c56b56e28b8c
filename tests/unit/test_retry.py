"""Retry: whether, and after how long."""

import pytest

from domain.retry import NO_END, Retry


@pytest.mark.parametrize(("attempt", "bound"), [(1, 2.0), (2, 4.0), (3, 8.0), (4, 10.0), (5, 10.0)])
def test_the_wait_doubles_up_to_the_cap(attempt, bound):
    assert Retry(attempts=6, base=2.0, cap=10.0).delay(attempt, 1.0) == bound


def test_full_jitter_spreads_the_wait_from_zero_to_its_bound():
    retry = Retry(base=2.0)

    assert [retry.delay(2, draw) for draw in (0.0, 0.25, 1.0)] == [0.0, 1.0, 4.0]


@pytest.mark.parametrize(("attempts", "attempt", "again"), [(1, 1, False), (3, 2, True), (3, 3, False), (3, 9, False)])
def test_the_last_attempt_is_not_followed_by_another(attempts, attempt, again):
    assert (Retry(attempts=attempts).delay(attempt, 0.5) is not None) is again


def test_work_without_end_is_tried_for_ever_and_no_number_overflows():
    assert Retry(attempts=NO_END, cap=30.0).delay(NO_END - 1, 1.0) == 30.0


def test_with_a_schedule_the_waits_are_those_to_the_second_and_then_no_more():
    retry = Retry(schedule=(5.0, 300.0, 60.0))

    assert [retry.delay(attempt, 0.0) for attempt in (1, 2, 3, 4)] == [5.0, 300.0, 60.0, None]
    assert (retry.attempts, retry.cap) == (4, 300.0)
