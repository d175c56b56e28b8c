"""The engine's turns: what they claim, whom they ring, and to whom they give way."""

import threading
from collections.abc import Sequence

import pytest

from application.engine import CAUGHT_UP_SECONDS, MAX_REST_SECONDS, TURN_SECONDS, Batch, Outcome
from application.ports.claims import Claim
from application.subscription import Selection, Subscription, of_pipeline
from domain.errors import Unavailable
from tests.factories import NewContextFactory, NewEventFactory
from tests.unit.engines import ORDERS, Bench, Passing, completed, failing


def test_a_turn_works_all_that_is_due_each_event_once(bench: Bench) -> None:
    bench.append(5)

    worked = bench.engine().turn("orders")

    assert worked == 3
    assert bench.done() == [1, 2, 3, 4, 5]
    assert [(ended.rows, ended.result) for ended in bench.journal.ended] == [
        (2, "completed"),
        (2, "completed"),
        (1, "completed"),
    ]
    assert bench.backlog().claims == 0


def test_a_name_that_is_not_loaded_is_no_work(bench: Bench) -> None:
    assert bench.engine().turn("unheard-of") == 0


def test_a_turn_takes_what_is_due_and_what_is_new_in_turn(bench: Bench) -> None:
    bench.append(2)
    bench.engine(failing(1, 2), draw=lambda: 0.0).turn("orders", seconds=0)
    bench.append(6)
    seen: list[int] = []

    def handle(batch: Batch) -> Sequence[Outcome]:
        seen.append(batch.rows[0].position)
        return failing(1, 2)(batch)

    bench.engine(handle, draw=lambda: 0.0).turn("orders")

    assert seen[:6] == [1, 3, 1, 5, 1, 7]


def test_whose_turn_it_is_outlasts_a_turn(bench: Bench) -> None:
    bench.append(2)
    engine = bench.engine(failing(1, 2), draw=lambda: 0.0)
    engine.turn("orders", seconds=0)
    bench.append(2)

    engine.turn("orders", seconds=0)
    engine.turn("orders", seconds=0)

    assert [ended.claim.first for ended in bench.journal.ended] == [1, 3, 1]


def test_a_taking_that_fails_is_nobodys_turn(bench: Bench) -> None:
    class Away(Passing):
        """Claims whose database is away each second time, after it was asked for something."""

        def take(self, subscription: Subscription, *, owner: str, due_first: bool) -> Claim | None:
            asked.append(due_first)
            if len(asked) % 2:
                raise Unavailable("away")
            return self._claims.take(subscription, owner=owner, due_first=due_first)

    asked: list[bool] = []
    bench.append(6)
    engine = bench.engine(claims=Away(bench.store.claims))

    for _ in range(3):
        with pytest.raises(Unavailable):
            engine.turn("orders", seconds=0)
        engine.turn("orders", seconds=0)

    assert asked == [True, True, False, False, True, True]


def test_a_turn_whose_first_claim_leaves_work_behind_rings_before_it_runs(bench: Bench) -> None:
    bench.append(5)
    rung_when_run: list[int] = []

    def handle(batch: Batch) -> Sequence[Outcome]:
        rung_when_run.append(len(bench.dispatcher.rings))
        return completed(batch)

    bench.engine(handle).turn("orders")

    assert rung_when_run == [1, 1, 1]
    assert bench.dispatcher.rings == [("orders", None)]


def test_a_turn_that_ends_with_work_left_rings_again(bench: Bench) -> None:
    bench.append(4)
    now = [0.0]

    def handle(batch: Batch) -> Sequence[Outcome]:
        now[0] += TURN_SECONDS
        bench.dispatcher.rings.clear()
        return completed(batch)

    worked = bench.engine(handle, clock=lambda: now[0]).turn("orders")

    assert worked == 1
    assert bench.dispatcher.rings == [("orders", None)]
    assert bench.done() == [1, 2]


def in_background(log: str = "events") -> Subscription:
    return Subscription(name="seals", log=log, batch=2, background=True)  # type: ignore[arg-type]


def test_work_in_the_background_rings_nobody_and_takes_one_claim_while_other_work_waits(bench: Bench) -> None:
    bench.append(9)
    engine = bench.engine(nothing, bench.work(ORDERS), subscription=in_background())

    assert engine.turn("seals") == 1
    assert bench.backlog("seals").cursor == 2
    assert bench.dispatcher.rings == []


def test_work_in_the_background_goes_on_while_no_other_waits_and_until_the_turn_ends(bench: Bench) -> None:
    bench.append(9)
    engine = bench.engine(nothing, subscription=in_background())
    assert engine.turn("seals") == 5

    bench.append(9)
    times = iter([0.0, 0.0, 0.0, TURN_SECONDS, TURN_SECONDS])
    engine = bench.engine(nothing, subscription=in_background(), clock=lambda: next(times))
    assert engine.turn("seals") == 1
    assert bench.dispatcher.rings == []


def test_what_comes_during_work_in_the_background_is_left_for_the_next_turn(bench: Bench) -> None:
    def grow(batch: Batch) -> Sequence[Outcome]:
        bench.append(1)
        return nothing(batch)

    bench.append(3)
    engine = bench.engine(grow, subscription=in_background())

    assert engine.turn("seals") == 2
    assert (bench.backlog("seals").cursor, bench.backlog("seals").head) == (4, 5)


def test_contexts_do_not_ring_what_follows_them_in_the_background(bench: Bench) -> None:
    bench.append(1)
    engine = bench.engine(completed, bench.work(in_background("task_contexts"), nothing))

    assert engine.turn("orders") == 1
    assert bench.dispatcher.rings == []


def test_what_follows_the_contexts_takes_one_claim_and_rings_again_while_events_wait(bench: Bench) -> None:
    follower = Subscription(name="index", log="task_contexts", batch=2)
    engine = bench.engine(completed, bench.work(follower, nothing))
    bench.append(9)
    engine.turn("orders")
    bench.dispatcher.rings.clear()
    bench.append(1)

    assert engine.turn("index") == 1
    assert bench.dispatcher.rings == [("index", None), ("index", None)]  # for a second worker, and to go on

    engine.turn("orders")
    assert engine.turn("index") == 4
    assert bench.backlog("index").cursor == 10


def test_what_carries_out_the_effects_of_a_replay_does_not_give_way_to_the_replay(bench: Bench) -> None:
    replay = Subscription(name="replay-1", log="events", batch=2)
    effects = Subscription(name="replay-1-effects", log="task_contexts", batch=1)
    engine = bench.engine(completed, bench.work(effects, nothing), subscription=replay)
    bench.append(2)
    engine.turn("replay-1")
    bench.append(2)

    assert engine.turn("replay-1-effects") == 2


def nothing(batch: Batch) -> Sequence[Outcome]:
    return [Outcome(position=row.position) for row in batch.rows]


def test_followers_are_rung_only_when_a_context_is_one_of_theirs(bench: Bench) -> None:
    follower = Subscription(name="follow-ups", log="task_contexts", selection=Selection(where={"emits": True}))
    emits = [False]

    def handle(batch: Batch) -> Sequence[Outcome]:
        return [
            Outcome(position=row.position, context=NewContextFactory(event_position=row.position, emits=emits[0]))
            for row in batch.rows
        ]

    engine = bench.engine(handle, bench.work(follower))
    bench.append(1)
    engine.turn("orders")
    assert bench.dispatcher.rings == []

    emits[0] = True
    bench.append(1)
    engine.turn("orders")
    assert bench.dispatcher.rings == [("follow-ups", None)]


def test_followers_are_rung_after_the_commit_and_not_for_a_fenced_one(bench: Bench) -> None:
    follower = Subscription(name="index", log="task_contexts")

    def handle(batch: Batch) -> Sequence[Outcome]:
        bench.clock.later(31)
        assert bench.store.claims.take(ORDERS, owner="thief") is not None
        return completed(batch)

    bench.append(1)
    bench.engine(handle, bench.work(follower)).turn("orders")

    assert bench.dispatcher.rings == []


def test_a_turn_that_has_caught_up_rests_so_that_more_rows_come_together(bench: Bench) -> None:
    engine = bench.engine(rest=3.0)
    bench.append(1)
    rests: list[float] = []

    class Meanwhile(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if not rests:
                bench.append(2)
            rests.append(timeout or 0.0)
            return False

    engine._stop = Meanwhile()

    assert engine.turn("orders") == 2  # the two that came meanwhile are one claim
    assert bench.done() == [1, 2, 3]
    assert len(rests) == 2
    assert all(0 < seconds <= MAX_REST_SECONDS for seconds in rests)


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside other work"])
def test_a_turn_that_has_caught_up_with_a_steady_stream_ends_soon_where_other_work_is_due(
    bench: Bench, *, beside: bool
) -> None:
    now = [0.0]

    def handle(batch: Batch) -> Sequence[Outcome]:
        now[0] += 0.008
        return completed(batch)

    class Meanwhile(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            now[0] += timeout or 0.0
            bench.append(1)
            return False

    others = [bench.work(of_pipeline("others"))] if beside else []
    engine = bench.engine(handle, *others, rest=3.0, clock=lambda: now[0])
    engine._stop = Meanwhile()
    bench.append(1)
    bench.store.events.append([NewEventFactory(route="others")])

    engine.turn("orders")

    lasts = CAUGHT_UP_SECONDS if beside else TURN_SECONDS
    assert lasts <= now[0] < lasts + MAX_REST_SECONDS
    assert bench.dispatcher.rings == [("orders", None)]
