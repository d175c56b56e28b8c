"""Sealing: the chain goes on from where it ends, whatever claims come; the anchor follows, or catches up."""

from dataclasses import replace

import pytest

from application.auditor import Auditor
from application.engine import Batch
from application.ports.claims import Claim
from application.subscription import Selection, Subscription
from application.use_cases import sealing
from application.use_cases.restoring import MarkRestored, mark_restored
from application.use_cases.sealing import is_anchored, places, seal_next, seal_rows, unsealed_rows
from domain.errors import LogAltered, Unavailable
from domain.seals import SEALED_COLUMNS
from infrastructure.memory.anchor import MemoryAnchor
from infrastructure.sql.selections import TABLES
from tests.factories import EPOCH, NewEventFactory
from tests.sealed import found, grow, seal_up
from tests.stores import Store, of_memory
from tests.unit.engines import MemoryJournal

CUT = {"events": {"tail cut": 21}, "task_contexts": {"tail cut": 21}}


@pytest.fixture
def store() -> Store:
    return of_memory()


def ranges(store: Store) -> list[tuple[int, int]]:
    seals = store.seals.read("events", after=0, limit=99)
    assert all(seal.holds for seal in seals)
    return [(seal.first, seal.last) for seal in seals]


def work(store: Store, first: int, last: int, **ports) -> list[str | None]:
    claim = Claim(id=1, subscription="seal-events", first=first, last=last, attempt=0, deaths=0, fence=1)
    rows = places(Selection(after=first - 1, last=last), last - first + 1)
    subscription = Subscription(name="seal-events", log="events", in_order=True)
    batch = Batch(claim=claim, subscription=subscription, rows=rows, stopping=ports.pop("stopping", lambda: False))
    ports = {"anchor": None, "journal": MemoryJournal(), **ports}
    return [outcome.back for outcome in seal_rows(batch, log="events", seals=store.seals, **ports)]


def test_every_column_of_a_log_but_its_position_is_sealed():
    for log, columns in SEALED_COLUMNS.items():
        assert {"position", *columns} == set(TABLES[log].c.keys())


def test_a_claim_of_one_row_names_its_place_and_a_range_all_of_its_places():
    assert [place.position for place in places(Selection(positions=(7,)), 1)] == [7]
    assert [place.position for place in places(Selection(after=3, last=6), 3)] == [4, 5, 6]


def test_claims_in_any_order_and_twice_make_one_chain(store: Store):
    store.events.append(NewEventFactory.build_batch(30))
    assert set(work(store, 21, 30)) == {None}
    assert set(work(store, 1, 10) + work(store, 11, 20) + work(store, 21, 30)) == {None}
    assert ranges(store) == [(1, 30)]
    assert found(store.seals, store.log_ids, None) == {}


def test_a_seal_has_at_most_its_rows(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sealing, "MAX_ROWS", 4)
    store.events.append(NewEventFactory.build_batch(10))
    work(store, 1, 10)
    assert ranges(store) == [(1, 4), (5, 8), (9, 10)]
    assert found(store.seals, store.log_ids, None) == {}


def test_a_seal_that_another_process_made_first_is_gone_on_from(store: Store):
    store.events.append(NewEventFactory.build_batch(10))
    append = store.seals.append

    def late(seal):
        store.seals.append = append
        store.events.append(NewEventFactory.build_batch(5))
        seal_next("events", seals=store.seals)
        return append(seal)

    store.seals.append = late
    assert set(work(store, 1, 10)) == {None}
    assert ranges(store) == [(1, 15)]


def test_a_stopping_worker_hands_back_what_is_not_sealed(store: Store):
    store.events.append(NewEventFactory.build_batch(3))
    work(store, 1, 3)
    store.events.append(NewEventFactory.build_batch(3))
    assert work(store, 2, 6, stopping=lambda: True) == [None, None, *["hand_back"] * 3]


def test_delayed_events_are_sealed_too(store: Store):
    store.events.append([NewEventFactory(not_before=EPOCH.replace(year=2999)), NewEventFactory()])
    assert seal_next("events", seals=store.seals)
    assert ranges(store) == [(1, 2)]
    assert not seal_next("events", seals=store.seals)
    assert unsealed_rows("events", seals=store.seals) == 0


def test_a_log_with_a_gap_is_not_sealed_any_further(store: Store):
    store.events.append(NewEventFactory.build_batch(5))
    del store.events._tables.events[2]
    with pytest.raises(LogAltered, match="playhead verify"):
        seal_next("events", seals=store.seals)
    assert ranges(store) == []


def test_each_seal_is_anchored(store: Store):
    anchor = MemoryAnchor()
    grow(store, 2, anchor=anchor)
    assert [(line.log, line.last_position) for line in anchor.lines] == [
        ("events", 10), ("task_contexts", 10), ("events", 20), ("task_contexts", 20),
    ]  # fmt: skip
    assert found(store.seals, store.log_ids, anchor) == {}


def test_an_anchor_that_is_away_is_reported_and_caught_up_and_stops_nothing(store: Store):
    anchor, journal = MemoryAnchor(), MemoryJournal()
    store.events.append(NewEventFactory.build_batch(5))
    anchor.away = True
    assert set(work(store, 1, 5, anchor=anchor, journal=journal)) == {None}
    assert [what for what, _ in journal.failures] == ["anchor of events"]
    anchor.away = False
    assert not is_anchored("events", seals=store.seals, anchor=anchor)
    store.events.append(NewEventFactory.build_batch(5))
    work(store, 6, 10, anchor=anchor, journal=journal)
    assert [line.last_position for line in anchor.lines] == [5, 10]
    assert is_anchored("events", seals=store.seals, anchor=anchor)


def restore(store: Store, anchor: MemoryAnchor | None, ids: str) -> None:
    command = MarkRestored(ids={"events": f"e{ids}", "task_contexts": f"c{ids}"}, at=EPOCH)
    mark_restored(
        command, seals=store.seals, log_ids=store.log_ids, anchor=anchor, auditor=Auditor("cli:me", store.audit)
    )


def put_back(store: Store, rows: int) -> None:
    """Put a store in memory back to an earlier state, as a restored dump does."""
    tables = store.events._tables
    del tables.events[rows:], tables.contexts[rows:]
    tables.claims.clear()
    for cursor in tables.cursors.values():
        cursor.position = rows
    tables.seals = [seal for seal in tables.seals if seal.last <= rows]


def test_a_restore_is_no_tampering_once_it_is_said_and_the_chain_goes_on(store: Store):
    anchor = MemoryAnchor()
    grow(store, 4, anchor=anchor)
    put_back(store, 25)
    assert found(store.seals, store.log_ids, anchor) == CUT

    restore(store, anchor, "1")
    assert found(store.seals, store.log_ids, anchor) == {}
    grow(store, 3, anchor=anchor)

    assert ranges(store) == [(1, 10), (11, 20), (21, 35), (36, 45), (46, 55)]
    assert {seal.log_id for seal in store.seals.read("events", after=20, limit=9)} == {"e1"}
    assert found(store.seals, store.log_ids, anchor) == {}
    assert is_anchored("events", seals=store.seals, anchor=anchor)


def test_a_second_restore_from_before_the_first_is_none_either(store: Store):
    anchor = MemoryAnchor()
    grow(store, 2, anchor=anchor)
    tables = store.events._tables
    ids = dict(tables.log_ids)
    grow(store, 2, anchor=anchor)
    for number in ("1", "2"):
        put_back(store, 20)
        tables.log_ids, tables.restores = dict(ids), []  # the dump knows of no restore
        restore(store, anchor, number)
        grow(store, 1, anchor=anchor)

    assert found(store.seals, store.log_ids, anchor) == {}


def test_a_restore_that_the_anchor_does_not_know_explains_nothing(store: Store):
    anchor = MemoryAnchor()
    grow(store, 4, anchor=anchor)
    put_back(store, 25)
    restore(store, None, "1")

    assert found(store.seals, store.log_ids, anchor) == CUT


def test_a_restore_explains_no_line_of_what_was_kept_nor_of_the_time_since(store: Store):
    anchor = MemoryAnchor()
    grow(store, 4, anchor=anchor)
    put_back(store, 25)
    restore(store, anchor, "1")
    grow(store, 2, anchor=anchor)
    for index, line in enumerate(anchor.lines):
        if line.log == "events" and line.last_position in {10, 45}:
            anchor.lines[index] = replace(line, chain=bytes(32))

    assert found(store.seals, store.log_ids, anchor) == {"events": {"re-stamped": 1}}
    put_back(store, 30)
    assert found(store.seals, store.log_ids, anchor)["task_contexts"] == {"tail cut": 21}


def test_a_restore_is_not_said_where_the_anchor_cannot_be_told(store: Store):
    anchor = MemoryAnchor()
    grow(store, 1, anchor=anchor)
    before = store.log_ids.of("events")
    anchor.away = True
    with pytest.raises(Unavailable):
        restore(store, anchor, "1")
    assert store.log_ids.of("events") == before


def test_outcomes_are_those_of_the_claims_rows(store: Store):
    store.events.append(NewEventFactory.build_batch(3))
    assert [outcome.position for outcome in seal_up("events", store)] == [1, 2, 3]
