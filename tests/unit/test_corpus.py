"""The corpus gate: what is taken of the past, under which names, and what new code makes of it."""

import json

import pytest

from application.auditor import Auditor
from application.ports.promotions import View
from application.subscription import Selection, Subscription, of_pipeline
from application.use_cases.corpus import (
    ANOTHER_WAY,
    DEADLY,
    NO_PIPELINE,
    ExportedShape,
)
from application.use_cases.dead_letters import Chosen, discard
from application.use_cases.processing import Processor
from domain.differences import Rules
from domain.pipeline import FunctionNode, Pipeline
from domain.registry import PipelineRegistry
from playhead import PermanentError, Route, TaskContext
from tests.factories import NewEventFactory
from tests.unit.engines import engine_of
from tests.unit.past import (
    BY_SIZE,
    Order,
    Past,
    corpus_of,
    counted,
    double,
    greet,
    half,
    known_customer,
    noisy,
    orders,
    text_of,
    wrong_double,
)

INDEXED = "elasticsearch_index → index_document"


def test_of_each_type_version_and_outcome_so_many_are_taken():
    past = Past(BY_SIZE)
    past.run(*orders(7))
    past.run(*orders(3, size="large"), {"number": 0, "size": "large"})
    past.run('{"no": 4}', '{"no": 5}', schema_version=1)

    export = past.export(per_shape=2)

    assert counted(export) == [
        (1, f"completed: by_size, double, {INDEXED}", 2, 2),
        (2, f"completed: by_size, double, {INDEXED}", 7, 2),
        (2, f"completed: by_size, half, tell → emit_event, {INDEXED}", 3, 2),
        (2, "dead: ZeroDivisionError in half", 1, 1),
    ]
    corpus = corpus_of(export)
    assert len(corpus.expectations) == 7
    assert [each.failure for each in corpus.expectations if each.failure] == [
        {"node": "half", "type": "ZeroDivisionError"}
    ]


@pytest.mark.parametrize("plain", [False, True])
def test_unchanged_code_differs_in_nothing(*, plain: bool):
    past = Past(BY_SIZE, greet)
    past.run(*orders(9), *orders(5, size="large"), {"number": 0, "size": "large"})
    past.run('{ "no":\n 4 }', schema_version=1)

    found = past.check(corpus_of(past.export(plain=plain)))

    assert (found.compared, found.identical, found.same, found.classes) == (16, 16, True, [])


@pytest.mark.parametrize("plain", [False, True])
def test_a_planted_bug_is_found_in_every_affected_event_with_its_node(*, plain: bool):
    past = Past(double, greet)
    past.run(*orders(30))
    corpus = corpus_of(past.export(plain=plain))
    past.use(FunctionNode("double", wrong_double), greet)

    found = past.check(corpus)

    assert (found.identical, found.different, found.same) == (20, 10, False)
    [one] = found.classes
    assert (one.pipeline, one.node, one.place, one.events) == ("orders", "double", "/outputs/double", 10)
    assert past.check(corpus, Rules(ignored=("/outputs/double",))).same


@pytest.mark.parametrize("plain", [False, True])
def test_clocks_and_uuids_are_no_difference(*, plain: bool):
    past = Past(noisy, double)
    past.run(*orders(30))

    export = past.export(plain=plain)
    found = past.check(corpus_of(export))

    assert (found.different, found.same) == (0, True)
    assert {"/outputs/noisy/id", "/outputs/noisy/at", "/outputs/noisy/drawn/*"} <= set(found.noise)


def test_noise_that_new_code_has_no_longer_does_not_count_either():
    past = Past(noisy)
    past.run(*orders(10))
    corpus = corpus_of(past.export())
    past.use(FunctionNode("noisy", lambda context: {"id": "1", "at": "2", "drawn": [3], "n": context.data.number}))

    assert past.check(corpus).same


@pytest.mark.parametrize("plain", [False, True])
def test_equal_stores_give_equal_bytes(*, plain: bool):
    past = Past(*((double,) if plain else (noisy, double)))
    past.run(*orders(40))

    first, again = past.export(per_shape=5, plain=plain), past.export(per_shape=5, plain=plain)

    assert text_of(first) == text_of(again)


def test_what_is_stored_later_changes_few_lines():
    past = Past(double)
    past.run(*orders(200))
    before = set(text_of(past.export(per_shape=50)).splitlines()[1:])
    past.run(*orders(10))
    after = set(text_of(past.export(per_shape=50)).splitlines()[1:])

    assert len(after) == 50
    assert len(before & after) >= 40

    past.run(*orders(200))
    later = set(text_of(past.export(per_shape=50)).splitlines()[1:])
    assert 10 <= len(after & later) <= 40  # of all, and not the first or the last of them


def test_no_text_of_the_events_is_in_the_file_but_what_is_kept():
    past = Past(double, greet)
    ids = past.run({"number": 7, "customer": "Ann Lee"}, subject="Ann Lee", source="shop-7", key="k-ann")

    hidden, kept = text_of(past.export()), text_of(past.export(kept=("/data/customer",)))

    for word in ("Ann", "Lee", "shop-7", "k-ann", ids[0]):
        assert word not in hidden
    assert '"customer":"Ann Lee"' in kept
    assert "Dear Ann Lee" in kept
    assert kept.count("Ann Lee") == 2
    assert json.loads(hidden.splitlines()[0])["anonymised"] is True


def test_a_plain_corpus_says_so_and_has_the_stored_text():
    past = Past(double)
    past.run('{ "number":  7,\n "customer": "Ann Lee" }')

    header, line = text_of(past.export(plain=True)).splitlines()

    assert json.loads(header)["anonymised"] is False
    assert '"data":{ "number":  7,  "customer": "Ann Lee" }' in line


def test_what_ends_otherwise_under_pseudonyms_is_left_out_unless_the_text_that_decides_is_kept():
    past = Past(FunctionNode("known_customer", known_customer))
    past.run({"number": 1, "customer": "Ann Lee"}, {"number": 2, "customer": "Bob"})

    export, kept = past.export(), past.export(kept=("/data/customer",))

    completed = f"completed: known_customer, {INDEXED}"
    assert export.shapes[0] == ExportedShape(
        type="order.placed", schema_version=2, outcome=completed, stored=1, left_out={ANOTHER_WAY: 1}
    )
    assert counted(export) == [(2, completed, 1, 0), (2, "dead: PermanentError in known_customer", 1, 1)]
    assert [each.taken for each in kept.shapes] == [1, 1]


def test_what_was_discarded_is_a_shape_of_its_own_and_what_is_run_again_is_none():
    past = Past(half)
    [first, *_] = past.run(*[{"number": 0}] * 3)
    auditor = Auditor("cli:somebody", past.store.audit)
    discard(
        Chosen(ids=[first]), "no such order",
        events=past.store.events, dead_letters=past.store.dead_letters, auditor=auditor,
    )  # fmt: skip
    past.store.dead_letters.requeue([2])

    export = past.export()

    assert counted(export) == [
        (2, "dead: ZeroDivisionError in half", 1, 1),
        (2, "discarded, dead: ZeroDivisionError in half", 1, 1),
    ]
    assert past.check(corpus_of(export)).same


def test_the_result_that_holds_is_taken_where_a_replay_was_promoted():
    past = Past(double)
    past.run(*orders(3))
    past.use(greet)
    live = Selection(where={"generation": 0})
    replayed = Subscription(name="replay-1", log="events", selection=Selection(last=2))
    past.store.claims.register([replayed])
    engine_of(past.store, Processor(past.registry, generation=1), replayed).turn("replay-1")
    past.store.promotions.append(View(id=1, promoted=(1,), action="promote", generation=1))

    assert len(past.store.contexts.read(live, limit=9)) == 3
    assert counted(past.export(plain=True)) == [
        (2, f"completed: double, {INDEXED}", 1, 1),
        (2, f"completed: greet, {INDEXED}", 2, 2),
    ]


def test_what_killed_its_worker_is_left_out_and_not_run():
    past = Past(double)
    past.run({"number": 1})
    past.store.events.append([NewEventFactory(data='{"number": 2}', schema_version=2)])
    for _ in range(3):
        assert past.store.claims.take(of_pipeline("orders"), owner="w") is not None
        past.clock.later(60)
    past.run({"number": 3})
    ran: list[int] = []
    past.use(FunctionNode("double", lambda context: ran.append(context.data.number)))

    export = past.export(plain=True)

    assert [(each.outcome, each.taken, each.left_out) for each in export.shapes] == [
        (f"completed: double, {INDEXED}", 2, {}),
        ("dead: WorkerDied", 0, {DEADLY: 1}),
    ]
    past.export()
    assert 2 not in ran


@pytest.mark.parametrize("plain", [False, True])
def test_what_has_no_pipeline_today_is_left_out(*, plain: bool):
    past = Past(double)
    past.run({"number": 1})
    past.registry = PipelineRegistry()

    export = past.export(plain=plain)

    assert (export.corpus, export.shapes[0].left_out) == (None, {NO_PIPELINE: 1})


def test_an_export_of_an_empty_store_makes_no_corpus():
    export = Past(double).export()

    assert (export.corpus, export.shapes) == (None, [])


def test_an_export_says_of_how_many_results_other_code_made_them():
    past = Past(double)
    past.run(*orders(4))
    assert past.export().by_other_code == {}
    past.use(FunctionNode("double", wrong_double))

    assert past.export().by_other_code == {"orders": 4}


def test_an_export_is_audited():
    past = Past(double)
    past.run({"number": 1})
    past.export(per_shape=3, kept=("/data/size",))

    [entry] = past.store.audit.read(limit=9)
    assert (entry.actor, entry.action) == ("cli:somebody", "corpus.export")
    assert entry.detail == {"per_shape": 3, "plain": False, "kept": ["/data/size"], "replaced": []}


def test_a_run_that_fails_now_and_one_that_takes_another_branch_are_found():
    past = Past(BY_SIZE)
    past.run(*orders(4), *orders(2, size="large"))
    corpus = corpus_of(past.export())
    past.use(Route("by_size", lambda context: context.data.size, {"small": (THIRD,), "large": (half, REFUSE)}))

    found = past.check(corpus)

    assert found.different == 6
    assert {(one.node, one.words, one.events) for one in found.classes} >= {
        ("refuse", "completed → dead by PermanentError", 2),
        ("third", "nothing → a number", 4),
    }


def test_data_of_newer_code_is_a_difference_and_no_crash():
    past = Past(double)
    past.run({"number": 1})
    corpus = corpus_of(past.export())
    past.registry = PipelineRegistry([Pipeline("orders", {"order.placed": Order}, (double,))])

    [one] = past.check(corpus).classes

    assert one.words == "completed → dead by NewerSchema"


def refuse(context: TaskContext) -> None:
    raise PermanentError("no")


REFUSE = FunctionNode("refuse", refuse)
THIRD = FunctionNode("third", lambda context: context.data.number / 3)
