"""What every context log promises: gapless positions, exact text, reading by selection."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from application.ports.claims import Completion
from application.ports.context_log import NewContext, Origin, OriginCount
from application.ports.promotions import View
from application.subscription import Selection, of_pipeline
from tests.factories import NewContextFactory, NewEventFactory
from tests.stores import Store

ORDERS = of_pipeline("orders", batch=1)
LIVE_ALONE = {0: 0}
"""The ranks of a view in which no replay was promoted."""


def complete(store: Store, contexts: Iterable[NewContext]) -> None:
    """Append contexts in one completion."""
    store.claims.register([ORDERS])
    store.events.append([NewEventFactory()])
    claim = store.claims.take(ORDERS, owner="w")
    assert claim is not None
    assert store.claims.complete(claim, Completion(contexts=list(contexts)))


def positions(store: Store, limit: int = 100, **selection) -> list[int]:
    return [context.position for context in store.contexts.read(Selection(**selection), limit=limit)]


def test_an_empty_log_has_head_zero_and_nothing_to_read(store: Store):
    assert store.contexts.head() == 0
    assert positions(store) == []
    assert store.contexts.of_event(1) == store.contexts.ended(0, limit=9) == store.contexts.summary(0) == []
    assert store.contexts.results(0, after=0, limit=9) == []


def test_contexts_of_one_and_of_several_completions_have_gapless_positions_in_order(store: Store):
    complete(store, [NewContextFactory(event_position=position) for position in (5, 3, 4)])
    complete(store, [])
    complete(store, [NewContextFactory(event_position=position) for position in (1, 2)])
    found = store.contexts.read(Selection(), limit=9)
    assert [(context.position, context.event_position) for context in found] == [(1, 5), (2, 3), (3, 4), (4, 1), (5, 2)]
    assert store.contexts.head() == 5


def test_a_context_is_read_back_as_it_was_written(store: Store):
    text = '{"a": 1.50, "b":"\\u0000 \\ud83d\\ude00 \U0001f600 \\\\u0000", "c":\n["é"]}'
    written = NewContextFactory(
        event_position=7,
        pipeline="p",
        generation=4,
        status="dead",
        context=text,
        digest="d",
        fingerprint="f",
        emits=True,
    )
    complete(store, [written])
    [found] = store.contexts.of_event(7)
    assert {name: getattr(found, name) for name in NewContext.__struct_fields__} == {
        name: getattr(written, name) for name in NewContext.__struct_fields__
    }
    assert found.position == 1
    assert abs(found.recorded_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert found.recorded_at.utcoffset() == timedelta(0)


def test_a_selection_narrows_what_is_read(store: Store):
    contexts = [
        NewContextFactory(event_position=1, generation=0),
        NewContextFactory(event_position=1, generation=1, emits=True),
        NewContextFactory(event_position=2, generation=0, status="failed"),
        NewContextFactory(event_position=2, generation=0, emits=True),
    ]
    complete(store, contexts)
    assert positions(store, where={"generation": 0}) == [1, 3, 4]
    assert positions(store, where={"generation": 0, "status": "completed"}) == [1, 4]
    assert positions(store, where={"emits": True}) == [2, 4]
    assert positions(store, where={"emits": True, "generation": 0}) == [4]
    assert positions(store, after=1, last=3) == [2, 3]
    assert positions(store, after=1, limit=2) == [2, 3]
    assert positions(store, positions=(2, 3, 9), where={"generation": 0}, limit=1) == [3]


def test_the_contexts_of_an_event_are_all_of_its_attempts_in_order(store: Store):
    statuses = ["failed", "failed", "completed", "discarded"]
    complete(store, [NewContextFactory(event_position=1, status=status) for status in statuses])
    complete(store, [NewContextFactory(event_position=2)])
    complete(store, [NewContextFactory(event_position=1, generation=1, status="dead")])
    found = store.contexts.of_event(1)
    assert [(context.position, context.status) for context in found] == [
        (1, "failed"), (2, "failed"), (3, "completed"), (4, "discarded"), (6, "dead"),
    ]  # fmt: skip
    assert store.contexts.of_event(3) == []


def test_what_ended_is_told_of_live_contexts_alone(store: Store):
    complete(store, [NewContextFactory(event_position=4, status="failed"), NewContextFactory(event_position=4)])
    complete(
        store, [NewContextFactory(event_position=4, generation=1), NewContextFactory(event_position=5, status="dead")]
    )
    assert store.contexts.ended(0, limit=9) == [(1, 4, "failed"), (2, 4, "completed"), (4, 5, "dead")]
    assert store.contexts.ended(1, limit=1) == [(2, 4, "completed")]
    assert store.contexts.ended(4, limit=9) == []


def test_the_summary_counts_a_generation_by_pipeline_and_status(store: Store):
    contexts = [
        *(NewContextFactory(event_position=position, pipeline="b") for position in (1, 2)),
        *(NewContextFactory(event_position=position, pipeline="a", status="failed") for position in (1, 1, 1)),
        NewContextFactory(event_position=1, pipeline="a"),
        NewContextFactory(event_position=1, pipeline="a", generation=2),
    ]
    complete(store, contexts)
    assert store.contexts.summary(0) == [("a", "completed", 1), ("a", "failed", 3), ("b", "completed", 2)]
    assert store.contexts.summary(2) == [("a", "completed", 1)]
    assert store.contexts.summary(1) == []


def test_the_kinds_of_failure_of_a_generation_are_counted_the_most_frequent_first(store: Store):
    def dead(position: int, failure: str | None, generation: int = 1):
        return NewContextFactory(event_position=position, status="dead", failure=failure, generation=generation)

    assert store.contexts.failures(1) == []
    failed = NewContextFactory(event_position=1, status="failed", failure="b", generation=1)
    complete(store, [failed, dead(1, "b"), dead(2, "a"), dead(3, "c"), dead(4, "c"), dead(5, None), dead(6, "c", 2)])
    assert store.contexts.failures(1) == [("c", 2), ("", 1), ("a", 1), ("b", 1)]
    assert store.contexts.failures(2) == [("c", 1)]


def test_a_result_is_the_completed_context_of_an_event_else_its_last_dead_letter(store: Store):
    contexts = [
        NewContextFactory(event_position=3, digest="c"),
        NewContextFactory(event_position=1, digest="b", pipeline="b"),
        NewContextFactory(event_position=1, digest="a", pipeline="a"),
        NewContextFactory(event_position=2, digest="x", status="dead"),
        NewContextFactory(event_position=2, digest="f", status="failed"),
        NewContextFactory(event_position=2, digest="y", status="dead"),
        NewContextFactory(event_position=4, digest="z", status="dead"),
        NewContextFactory(event_position=4, digest="d"),
        NewContextFactory(event_position=3, digest="e", generation=1),
    ]
    complete(store, contexts)

    def results(generation: int, *, after: int = 0, limit: int = 9) -> list[tuple[int, int, str, str, str]]:
        found = store.contexts.results(generation, after=after, limit=limit)
        return [(row.position, row.event_position, row.pipeline, row.status, row.digest) for row in found]

    assert results(0) == [
        (3, 1, "a", "completed", "a"),
        (2, 1, "b", "completed", "b"),
        (6, 2, "orders", "dead", "y"),
        (1, 3, "orders", "completed", "c"),
        (8, 4, "orders", "completed", "d"),
    ]
    assert results(0, after=2) == results(0)[3:]
    assert [results(0, limit=limit) for limit in range(1, 6)] == [results(0)[:limit] for limit in range(1, 6)]
    assert results(1) == [(9, 3, "orders", "completed", "e")]


def test_results_are_told_by_what_made_them(store: Store):
    types = ("order.placed", "order.placed", "order.sent", "order.placed")
    store.events.append([NewEventFactory(type=type_) for type_ in types])
    contexts = [
        NewContextFactory(event_position=4, fingerprint="b"),
        NewContextFactory(event_position=1, fingerprint="a"),
        NewContextFactory(event_position=2, fingerprint="a"),
        NewContextFactory(event_position=3, fingerprint="a"),
        NewContextFactory(event_position=3, fingerprint="a", pipeline="a"),
        NewContextFactory(event_position=2, fingerprint="a", generation=1),
        NewContextFactory(event_position=2, fingerprint="a", status="failed"),
        NewContextFactory(event_position=2, fingerprint="a", status="dead"),
    ]
    complete(store, contexts)
    placed, sent = Origin("orders", "a", "order.placed"), Origin("orders", "a", "order.sent")
    other, newer = Origin("a", "a", "order.sent"), Origin("orders", "b", "order.placed")

    def made(*origins: Origin, after: int = 0, limit: int = 9, ranks=LIVE_ALONE) -> list[tuple[int, int, Origin]]:
        return store.contexts.of_origins(ranks, origins, after=after, limit=limit)

    assert store.contexts.origins(LIVE_ALONE) == [
        OriginCount(origin=other, results=1, first=3),
        OriginCount(origin=placed, results=2, first=1),
        OriginCount(origin=sent, results=1, first=3),
        OriginCount(origin=newer, results=1, first=4),
    ]
    assert store.contexts.origins({1: 0}) == [OriginCount(origin=placed, results=1, first=2)]
    assert store.contexts.origins({2: 0}) == made() == made(placed, ranks={2: 0}) == []
    assert made(placed, newer) == [(1, 4, newer), (2, 1, placed), (3, 2, placed)]
    assert made(placed, newer, after=1, limit=1) == [(2, 1, placed)]
    assert made(placed, sent, ranks={1: 0}) == [(6, 2, placed)]


def test_of_several_generations_the_result_of_the_highest_rank_has_an_origin(store: Store):
    store.events.append(NewEventFactory.build_batch(4))
    contexts = [
        *(NewContextFactory(event_position=position, fingerprint="live") for position in (1, 2, 3)),
        *(NewContextFactory(event_position=position, fingerprint="one", generation=1) for position in (2, 3, 4)),
        *(NewContextFactory(event_position=position, fingerprint="two", generation=2) for position in (3, 4)),
        NewContextFactory(event_position=1, fingerprint="two", generation=2, status="dead"),
        NewContextFactory(event_position=2, fingerprint="two", generation=2, pipeline="another"),
    ]
    complete(store, contexts)

    def held(ranks: Mapping[int, int]) -> dict[int, str]:
        origins = [each.origin for each in store.contexts.origins(ranks)]
        rows = store.contexts.of_origins(ranks, origins, after=0, limit=9)
        assert sum(each.results for each in store.contexts.origins(ranks)) == len(rows)
        return {event_position: origin.fingerprint for _, event_position, origin in rows if origin.pipeline == "orders"}

    assert held({0: 0}) == {1: "live", 2: "live", 3: "live"}
    assert held({0: 0, 1: 1, 2: 2}) == {1: "live", 2: "one", 3: "two", 4: "two"}
    assert held({0: 0, 2: 1, 1: 2}) == {1: "live", 2: "one", 3: "one", 4: "one"}


def test_the_context_that_decides_is_the_completed_one_of_the_view_else_the_last_live_one(store: Store):
    statuses = [(1, "failed"), (1, "completed"), (1, "dead"), (2, "dead"), (2, "discarded"), (3, "failed")]
    complete(store, [NewContextFactory(event_position=position, status=status) for position, status in statuses])
    complete(store, [NewContextFactory(event_position=position, generation=1) for position in (2, 3, 4)])

    def deciding(*events: int, view: View = View(), last: int | None = None) -> dict[int, tuple[int, str]]:  # noqa: B008  # it is frozen
        found = store.contexts.deciding(events, view, last=last)
        return {event: (each.position, each.status) for event, each in found.items()}

    assert deciding(1, 2, 3, 4, 5) == {1: (2, "completed"), 2: (5, "discarded"), 3: (6, "failed")}
    assert deciding(1, 2, 3, last=4) == {1: (2, "completed"), 2: (4, "dead")}
    assert deciding(1, 2, last=1) == {1: (1, "failed")}
    assert deciding(1, last=0) == deciding() == {}
    promoted = View(promoted=(1,))
    assert deciding(1, 2, 3, 4, view=promoted) == {
        1: (2, "completed"), 2: (7, "completed"), 3: (8, "completed"), 4: (9, "completed"),
    }  # fmt: skip
    assert deciding(2, 3, view=promoted, last=7) == {2: (7, "completed"), 3: (6, "failed")}


def test_the_position_at_a_time_is_the_last_that_was_recorded_by_then(store: Store):
    assert store.contexts.position_at(store.events.now()) == 0
    complete(store, [NewContextFactory(event_position=position) for position in (1, 2)])
    store.later(0.02)
    between = store.events.now()
    store.later(0.02)
    complete(store, [NewContextFactory(event_position=3)])

    assert store.contexts.position_at(between) == 2
    assert store.contexts.position_at(between + timedelta(days=1)) == 3
    assert store.contexts.position_at(between - timedelta(days=1)) == 0
