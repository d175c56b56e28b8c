"""What every keeper of the audit promises: entries for ever, in order, without a gap."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from application.ports.audit import NewAuditEntry
from tests.factories import EPOCH
from tests.stores import Store


def entry(action: str, **members: object) -> NewAuditEntry:
    return NewAuditEntry(actor="cli:somebody", action=action, **members)


def test_there_is_nothing_at_first(store: Store):
    assert list(store.audit.read()) == []


def test_an_entry_is_read_back_as_it_was_recorded(store: Store):
    said = entry("dead.discard", target="x", detail={"ids": ["a", "é\0"], "count": 2, "filter": {"type": None}})
    kept = store.audit.record(said)
    assert (kept.position, kept.actor, kept.action, kept.target) == (1, "cli:somebody", "dead.discard", "x")
    assert kept.detail == said.detail
    assert abs(kept.recorded_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert list(store.audit.read()) == [kept]


def test_a_detail_is_kept_as_json_has_it(store: Store):
    kept = store.audit.record(entry("dead.requeue", detail={"since": EPOCH, "scopes": ("a", "b")}))
    assert kept.detail == {"since": "2026-01-01T00:00:00Z", "scopes": ["a", "b"]}


def test_the_newest_is_first_and_no_more_are_read_than_asked_for(store: Store):
    kept = [store.audit.record(entry("db.upgrade")) for _ in range(3)]
    assert list(store.audit.read(limit=2)) == [kept[2], kept[1]]


def test_an_action_is_found_by_its_name_or_its_familys(store: Store):
    for action in ("keys.create", "keys.revoke", "keys_create", "keysx.create", "replay.run"):
        store.audit.record(entry(action))
    assert [found.action for found in store.audit.read(action="keys")] == ["keys.revoke", "keys.create"]
    assert [found.action for found in store.audit.read(action="keys.create")] == ["keys.create"]
    assert list(store.audit.read(action="k%")) == []
    assert list(store.audit.read(action="key")) == []


def test_positions_have_no_gap_whoever_records_at_once(store: Store):
    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(lambda number: store.audit.record(entry(f"a{number}")), range(24)))
    assert sorted(found.position for found in kept) == list(range(1, 25))
    assert [found.position for found in store.audit.read()] == list(range(24, 0, -1))
