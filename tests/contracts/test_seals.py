"""What every keeper of seals promises: equal digests of equal rows, one seal a beginning, seals as they were kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import asdict

from application.ports.claims import Completion
from application.subscription import Selection, of_pipeline
from domain.events import NewEvent
from domain.seals import GENESIS, SEALED_COLUMNS, Seal, canonical, row_digest, seal_of
from tests.factories import EPOCH, NewContextFactory, NewEventFactory, event_id
from tests.stores import Store

ORDERS = of_pipeline("orders")
LATER = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)


def seal(first: int, count: int, previous: bytes = GENESIS, *, log: str = "events") -> Seal:
    digests = [row_digest([b"%d" % (first + number)]) for number in range(count)]
    return seal_of(log=log, log_id=event_id(7), first=first, digests=digests, previous=previous)


def of_columns(log: str, columns: dict[str, Any]) -> bytes:
    return row_digest([canonical(columns[name]) for name in SEALED_COLUMNS[log]])


def fill(store: Store) -> None:
    """Three events, of which one has all that an event may have, and two contexts."""
    store.claims.register([ORDERS])
    full = NewEventFactory(
        time=LATER, source="s", subject="é\u2028", route=None, key="k", data='{"a": 1.50, "b":"\\u0000"}', depth=2,
        schema_version=3, cause=event_id(9), attributes={"x": True, "y": 2},
    )  # fmt: skip
    store.events.append([NewEventFactory(time=EPOCH), full, NewEventFactory(not_before=LATER + timedelta(days=3650))])
    claim = store.claims.take(ORDERS, owner="w")
    assert claim is not None
    contexts = [NewContextFactory(), NewContextFactory(status="failed", emits=True, generation=2)]
    assert store.claims.complete(claim, Completion(contexts=contexts))


def test_an_empty_log_has_ends_no_rows_and_no_seals(store: Store):
    for log in ("events", "task_contexts"):
        ends = store.seals.ends(log)
        assert (ends.log_id, ends.head, ends.last) == (store.log_ids.of(log), 0, 0)
        assert store.seals.digests(log, after=None, limit=9) == []
        assert store.seals.read(log, after=0, limit=9) == []
        assert store.seals.at(log, 9) is None


def test_a_row_has_the_same_digest_whichever_database_keeps_it(store: Store):
    fill(store)
    digests = store.seals.digests("events", after=None, limit=9)
    rows = store.events.read(Selection(), limit=9)
    attributes = [None, '{"x":true,"y":2}', None]
    keys = [None, NewEvent(id="", type="order.placed", subject="é\u2028", data=rows[1].data, key="k").body_digest, None]
    for (position, found), row, attribute, key, direct in zip(
        digests, rows, attributes, keys, (False, False, True), strict=True
    ):
        columns = {**asdict(row), "attributes": attribute, "body_digest": key, "direct": direct}
        assert (position, found) == (row.position, of_columns("events", columns))


def test_so_has_a_context(store: Store):
    fill(store)
    digests = store.seals.digests("task_contexts", after=None, limit=9)
    rows = store.contexts.read(Selection(), limit=9)
    expected = [{name: getattr(row, name) for name in row.__struct_fields__} for row in rows]
    assert digests == [(row["position"], of_columns("task_contexts", row)) for row in expected]


def test_rows_are_read_from_a_position_and_as_many_as_asked_for(store: Store):
    fill(store)
    every = store.seals.digests("events", after=None, limit=9)
    assert store.seals.digests("events", after=1, limit=9) == every[1:]
    assert store.seals.digests("events", after=0, limit=2) == every[:2]


def test_the_ends_of_a_log_are_its_head_and_its_last_row(store: Store):
    fill(store)
    assert (store.seals.ends("events").head, store.seals.ends("events").last) == (3, 3)
    assert (store.seals.ends("task_contexts").head, store.seals.ends("task_contexts").last) == (2, 2)


def test_a_seal_is_read_back_as_it_was_kept(store: Store):
    kept = seal(1, 3)
    assert store.seals.append(kept)
    [found] = store.seals.read("events", after=0, limit=9)
    assert replace(found, recorded_at=None) == kept
    assert found.holds
    assert found.recorded_at is not None
    assert abs(found.recorded_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert store.seals.read("events", after=0, limit=9, digests=False) == [replace(found, digests=None)]


def test_a_log_has_one_seal_that_begins_at_a_position(store: Store):
    assert store.seals.append(seal(1, 3))
    assert not store.seals.append(seal(1, 2))
    assert store.seals.append(seal(1, 2, log="task_contexts"))
    assert [(found.first, found.last) for found in store.seals.read("events", after=0, limit=9)] == [(1, 3)]


def test_seals_are_read_in_order_and_found_by_what_they_cover(store: Store):
    chain = [seal(1, 3), seal(4, 1), seal(5, 10)]
    for each in (chain[2], chain[0], chain[1]):
        store.seals.append(each)
    assert [found.first for found in store.seals.read("events", after=0, limit=9)] == [1, 4, 5]
    assert [found.first for found in store.seals.read("events", after=1, limit=1)] == [4]
    found = [store.seals.at("events", position) for position in (0, 1, 3, 4, 14, 10**12)]
    assert [each and each.first for each in found] == [None, 1, 1, 4, 5, 5]
    assert store.seals.at("task_contexts", 5) is None


def test_a_log_that_gets_a_new_id_keeps_where_it_was(store: Store):
    fill(store)
    before = {log: store.log_ids.of(log) for log in ("events", "task_contexts")}
    assert before["events"] != before["task_contexts"]
    assert store.log_ids.restores("events") == []
    store.seals.append(seal(1, 2))
    store.log_ids.require_writable()
    made = store.log_ids.renew({"task_contexts": event_id(1), "events": event_id(2)})
    assert store.log_ids.of("events") == store.seals.ends("events").log_id == event_id(2)
    [restore] = store.log_ids.restores("events")
    assert restore in made
    assert (restore.previous_id, restore.log_id, restore.position, restore.sealed) == (
        before["events"], event_id(2), 3, 2,
    )  # fmt: skip
    store.log_ids.renew({"events": event_id(3)})
    assert [each.log_id for each in store.log_ids.restores("events")] == [event_id(2), event_id(3)]
    assert store.log_ids.of("task_contexts") == event_id(1)
