"""Promotion: results of a replay hold in the store and in search, wholly or not at all; and back again."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from pydantic import BaseModel

from application.auditor import Auditor
from application.engine import Work
from application.ports.promotions import View
from application.ports.replays import Replay
from application.ports.search_index import ENVELOPE, Index, Rejection, SearchDocument, SearchQuery
from application.subscription import Selection, of_pipeline
from application.use_cases.indices import rebuild_index
from application.use_cases.processing import Processor
from application.use_cases.promoting import promote_replay, roll_back
from application.use_cases.replay_plans import PlanReplay, plan_replay
from application.use_cases.replay_run import run_replay
from application.use_cases.results import Found, search
from domain.context import TaskContext
from domain.errors import InvalidReplay, NotCaughtUp, Unavailable, ViewChanged
from domain.pipeline import FunctionNode, Pipeline
from domain.registry import PipelineRegistry
from infrastructure.memory.search_index import MemorySearchIndex
from infrastructure.memory.store import MemoryStore
from tests.factories import NewEventFactory
from tests.replays import memory_run
from tests.unit.engines import builder_of, engine_of, index_all

EVENTS = 6
FIELDS = {**ENVELOPE, "status": "keyword"}


class Flight(BaseModel):
    delay: int


class Document(BaseModel):
    status: str


def registry(limit: int) -> PipelineRegistry:
    def classify(context: TaskContext) -> str:
        if context.data.delay == 5 and limit < 100:
            raise ValueError("five")
        return "late" if context.data.delay > limit else "on_time"

    def document(context: TaskContext) -> Document:
        return Document(status=context.outputs["classify"])

    return PipelineRegistry(
        [Pipeline("flights", {"flight.landed": Flight}, (FunctionNode("classify", classify),), document)]
    )


class Site:
    """A store and an index in memory, whose live rule is that a flight is late after one minute."""

    def __init__(self) -> None:
        self.store, self.index = MemoryStore(), MemorySearchIndex()
        self.auditor = Auditor("cli:somebody", self.store.audit)
        self.send(*range(EVENTS))

    def send(self, *delays: int) -> None:
        events = [NewEventFactory(type="flight.landed", data=f'{{"delay": {n}}}', route="flights") for n in delays]
        self.store.events.append(events)
        live = of_pipeline("flights")
        self.store.claims.register([live])
        engine_of(self.store, Processor(registry(1)), live).turn("flights")
        index_all(self.store, self.index, FIELDS)

    def plan(self, limit: int, *, last: int | None = None) -> Replay:
        code = Processor(registry(limit))
        return plan_replay(
            PlanReplay(everything=True) if last is None else PlanReplay(last=last),
            events=self.store.events,
            contexts=self.store.contexts,
            states=self.store.states,
            index=self.index,
            replays=self.store.replays,
            registry=registry(limit),
            fingerprints=registry(limit).fingerprints,
            stale=lambda _: (),
            auditor=self.auditor,
            dry_run=code.dry_run,
        ).replay

    def replay(self, limit: int, *, last: int | None = None) -> Replay:
        planned = self.plan(limit, last=last)
        run_replay(memory_run(self.store, planned, Processor(registry(limit), generation=planned.id), batch=2))
        return planned

    def promote(self, replay: Replay, **options: object) -> View:
        options = {"builder": self.builder(), "auditor": self.auditor, **options}
        return promote_replay(replay, **options)

    def roll_back(self, **options: object) -> View:
        return roll_back(**{"builder": self.builder(), "auditor": self.auditor, **options})

    def builder(self, **options: object):
        return builder_of(self.store, self.index, FIELDS, **options)

    def stored(self) -> list[str]:
        """The result of each event as the store has it: what the task tells."""
        found = []
        for event in self.store.events.stream(Selection()):
            [state] = self.store.states.of([event])
            rows = {row.position: row for row in self.store.contexts.of_event(event.position)}
            context = TaskContext.from_json(rows[state.context_position].context)
            found.append(context.outputs["classify"] if state.status == "succeeded" else state.status)
        return found

    def search(self) -> Found:
        return search(
            SearchQuery(sort="position", size=100),
            index=self.index,
            claims=self.store.claims,
            log_ids=self.store.log_ids,
            promotions=self.store.promotions,
        )

    def searched(self) -> list[str]:
        return [hit["status"] for hit in self.search().answer.hits]


LIVE = ["on_time", "on_time", "late", "late", "late", "failed"]
AFTER_3 = ["on_time", "on_time", "on_time", "on_time", "late", "failed"]


@pytest.fixture
def site() -> Site:
    return Site()


def holds(site: Site, results: Sequence[str]) -> None:
    assert site.stored() == results
    assert site.searched() == [result for result in results if result != "failed"]


def test_promoted_results_hold_in_store_and_search_and_roll_back(site: Site) -> None:
    replay = site.replay(3)
    holds(site, LIVE)

    view = site.promote(replay)

    assert (view.promoted, view.action, view.generation) == ((1,), "promote", 1)
    holds(site, AFTER_3)
    assert site.search().view == (1,)
    before = site.store.contexts.head()

    site.roll_back()

    holds(site, LIVE)
    assert (site.search().view, site.search().warning) == ((), None)
    assert site.store.contexts.head() == before
    assert [view.action for view in site.store.promotions.list()] == ["rollback", "promote"]


def test_what_a_promoted_replay_has_no_result_of_is_as_before(site: Site) -> None:
    part, more = site.replay(3, last=3), site.replay(100)

    site.promote(part)
    holds(site, ["on_time", "on_time", "on_time", "late", "late", "failed"])

    site.promote(more)
    holds(site, ["on_time"] * 6)
    assert site.store.promotions.current().promoted == (more.id, part.id)

    site.roll_back()
    holds(site, ["on_time", "on_time", "on_time", "late", "late", "failed"])


def test_live_results_go_on_under_a_promotion_and_into_the_index_for_the_way_back(site: Site) -> None:
    replay = site.replay(3)
    site.promote(replay)

    site.send(2)

    holds(site, [*AFTER_3, "late"])
    site.roll_back()
    holds(site, [*LIVE, "late"])


def test_results_of_a_promoted_replay_that_come_late_are_found(site: Site) -> None:
    late = site.replay(3, last=2)
    site.promote(late)

    # As if the replay had selected more.
    more = replace(late, id=7, selection=Selection(positions=(4,)))
    run_replay(memory_run(site.store, more, Processor(registry(3), generation=late.id)))
    index_all(site.store, site.index, FIELDS)

    assert site.searched()[3] == "on_time" == site.stored()[3]


def test_a_replay_that_is_not_done_or_is_promoted_already_is_refused(site: Site) -> None:
    replay = site.replay(3)

    with pytest.raises(InvalidReplay, match="not done"):
        site.promote(site.plan(3))
    site.promote(replay)
    with pytest.raises(InvalidReplay, match="already"):
        site.promote(replay)


def test_without_a_promotion_there_is_nothing_to_go_back_from(site: Site) -> None:
    with pytest.raises(InvalidReplay, match="nothing to go back from"):
        site.roll_back()


def test_one_goes_back_from_the_replay_that_was_promoted_last_alone(site: Site) -> None:
    first, second = site.replay(3), site.replay(4)
    site.promote(first)
    site.promote(second)

    with pytest.raises(InvalidReplay, match="not promoted last: replay 2 was"):
        site.roll_back(generation=first.id)
    assert site.roll_back(generation=second.id).promoted == (first.id,)


def test_where_nothing_may_be_built_a_promotion_waits_for_its_index(site: Site) -> None:
    replay = site.replay(3)

    with pytest.raises(NotCaughtUp, match="playhead replay promote 1"):
        site.promote(replay, build=False)
    holds(site, LIVE)

    site.builder().build((replay.id,))
    site.promote(replay, build=False)
    holds(site, AFTER_3)


def test_a_promotion_is_refused_with_the_lag_while_the_index_is_far_behind(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = site.replay(3)
    monkeypatch.setattr("application.use_cases.promoting.MAX_LAG", 0)
    monkeypatch.setattr("application.use_cases.promoting._PATIENCE_SECONDS", 0)

    with pytest.raises(NotCaughtUp, match="is 6 contexts behind"):
        site.promote(replay)

    holds(site, LIVE)
    index_all(site.store, site.index, FIELDS)
    site.promote(replay)
    holds(site, AFTER_3)


def test_of_two_decisions_at_once_one_is_taken(site: Site) -> None:
    first, second = site.replay(3), site.replay(100)

    class Hasty(MemorySearchIndex):
        """While it is asked what there is, another promotes."""

        def indices(self) -> Sequence[Index]:
            if not site.store.promotions.current().promoted and len(super().indices()) > 1:
                site.store.promotions.append(View(id=1, promoted=(second.id,), action="promote", generation=second.id))
            return super().indices()

    site.index.__class__ = Hasty
    with pytest.raises(ViewChanged):
        site.promote(first)
    assert site.store.promotions.current().promoted == (second.id,)


class _Dies(BaseException):
    """The process ends."""


def test_a_promotion_whose_process_died_between_store_and_index_is_ended_by_the_next_reader(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = site.replay(3)

    def die(_: Index) -> None:
        raise _Dies

    with monkeypatch.context() as patched:
        patched.setattr(site.index, "serve", die)
        with pytest.raises(_Dies):
            site.promote(replay)
    assert site.stored() == AFTER_3

    found = site.search()
    assert [hit["status"] for hit in found.answer.hits] == AFTER_3[:5]
    assert (found.view, found.warning) == ((1,), None)


def test_a_promotion_whose_process_died_is_ended_by_the_next_start(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    replay = site.replay(3)

    def die(_: Index) -> None:
        raise _Dies

    with monkeypatch.context() as patched:
        patched.setattr(site.index, "serve", die)
        with pytest.raises(_Dies):
            site.promote(replay)

    site.send(9)

    [serving] = [index for index in site.index.indices() if index.serves]
    assert serving.label is not None
    assert serving.label.view == (1,)


def test_a_build_that_was_cut_off_goes_on_where_it_was(site: Site) -> None:
    replay = site.replay(3)
    seen: list[tuple[int, int]] = []

    def die(done: int, total: int) -> None:
        seen.append((done, total))
        if len(seen) == 2:
            raise _Dies

    # A claim covers two contexts.
    small = site.builder(progress=die)
    small.template = small.template.__class__(
        name="index", log="task_contexts", selection=small.template.selection, batch=2
    )
    small.engine_of = _one_claim_a_turn(small.engine_of)
    with pytest.raises(_Dies):
        small.build((replay.id,))
    [begun] = [index for index in site.index.indices() if not index.serves]
    assert begun.label is not None
    assert (begun.label.whole, site.index.state(begun).documents) == (False, 2)

    site.promote(replay)

    holds(site, AFTER_3)
    assert [index.key for index in site.index.indices() if index.serves] == [begun.key]


def _one_claim_a_turn(engine_of):
    def made(work: Work):
        engine = engine_of(work)
        turn = engine.turn
        engine.turn = lambda name, seconds: turn(name, seconds=0)
        return engine

    return made


def test_a_lost_index_is_made_anew_with_what_is_promoted(site: Site) -> None:
    site.promote(site.replay(3))
    site.index = MemorySearchIndex()

    index_all(site.store, site.index, FIELDS)

    holds(site, AFTER_3)
    assert site.search().warning is None


def test_a_rebuild_keeps_what_is_promoted_and_leaves_one_index(site: Site) -> None:
    site.promote(site.replay(3))
    assert len(site.index.indices()) == 2

    rebuild_index(builder=site.builder(), auditor=site.auditor)

    assert len(site.index.indices()) == 1
    holds(site, AFTER_3)
    site.roll_back()
    holds(site, LIVE)


def test_an_index_of_another_view_is_said_where_there_is_no_fitting_one(site: Site) -> None:
    site.store.promotions.append(View(id=1, promoted=(4,), action="promote", generation=4))

    found = site.search()

    assert found.view == ()
    assert "index rebuild" in (found.warning or "")


def test_at_most_the_index_before_stays_beside(site: Site) -> None:
    for limit in (2, 3, 4):
        site.promote(site.replay(limit))
    assert [index.label.view for index in site.index.indices() if index.label] == [(2, 1), (3, 2, 1)]


def test_an_index_that_goes_away_during_a_promotion_leaves_all_as_it_was(site: Site) -> None:
    replay = site.replay(3)

    class Away(MemorySearchIndex):
        def put(self, documents: Sequence[SearchDocument], index: Index | None = None) -> list[Rejection]:
            raise Unavailable("away")

    site.index.__class__ = Away
    tries = iter(range(3))

    def give_up(_: float) -> None:
        if next(tries, None) is None:
            raise _Dies

    with pytest.raises(_Dies):
        site.promote(replay, builder=site.builder(sleep=give_up))
    site.index.__class__ = MemorySearchIndex
    holds(site, LIVE)
    assert site.store.promotions.current() == View()
