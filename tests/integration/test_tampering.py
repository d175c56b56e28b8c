"""Whatever a superuser changes in the past is found by `verify`, and named at its first position."""

from dataclasses import replace
from pathlib import Path

import pytest

from infrastructure.sql.store import SqlStore
from tests.factories import event_id
from tests.sealed import Past, grow, run

COPY = (
    "INSERT INTO events SELECT {position}, '" + event_id(10**6) + "', type, source, subject, time, recorded_at, route, "
    "lane, data, key, body_digest, schema_version, cause, depth, attributes, direct FROM events WHERE position = 7"
)
"""Add a row that is as good as any other."""
UP = (
    "UPDATE events SET position = position + 1000 WHERE position > {position}",
    "UPDATE events SET position = position - 1001 WHERE position > 1000",
)
DOWN = (
    "UPDATE events SET position = position + 1001 WHERE position >= {position}",
    "UPDATE events SET position = position - 1000 WHERE position > 1000",
)
HEAD = "UPDATE heads SET position = {position} WHERE log = 'events'"

KINDS: dict[str, tuple[list[str], dict[str, int]]] = {
    "data edited": (["UPDATE events SET data = '{{}}' WHERE position = 17"], {"altered": 17}),
    "time edited": (["UPDATE events SET time = '2020-01-01T00:00:00.000000+00:00' WHERE position = 3"], {"altered": 3}),
    "recorded time edited by a microsecond": (
        ["UPDATE events SET recorded_at = (SELECT recorded_at FROM events WHERE position = 35) WHERE position = 1"],
        {"altered": 1},
    ),
    "subject edited": (["UPDATE events SET subject = 'x' WHERE position IN (26, 25, 40)"], {"altered": 25}),
    "null made empty": (["UPDATE events SET key = '' WHERE position = 9"], {"altered": 9}),
    "first row deleted": (["DELETE FROM events WHERE position = 1"], {"missing": 1}),
    "row deleted": (["DELETE FROM events WHERE position = 15"], {"missing": 15}),
    "last row deleted": (["DELETE FROM events WHERE position = 45"], {"tail cut": 45}),
    "unsealed row deleted": (["DELETE FROM events WHERE position = 43"], {"missing": 43}),
    "row deleted and the gap closed": (
        [
            "DELETE FROM events WHERE position = 15",
            *(part.format(position=15) for part in UP),
            HEAD.format(position=44),
        ],
        {"missing": 15, "moved": 16},
    ),
    "two rows swapped": (
        [
            "UPDATE events SET position = 1000 WHERE position = 12",
            "UPDATE events SET position = 12 WHERE position = 33",
            "UPDATE events SET position = 33 WHERE position = 1000",
        ],
        {"moved": 12},
    ),
    "row inserted": (
        [*(part.format(position=20) for part in DOWN), COPY.format(position=20), HEAD.format(position=46)],
        {"added": 20, "moved": 21},
    ),
    "row added behind the head": ([COPY.format(position=46)], {"added": 46}),
    "row added before the first": ([COPY.format(position=0)], {"added": 0}),
    "tail cut, seals left": (["DELETE FROM events WHERE position > 28", HEAD.format(position=28)], {"tail cut": 29}),
    "head moved": ([HEAD.format(position=50)], {"tail cut": 46}),
    "all rows deleted": (["DELETE FROM events", HEAD.format(position=0)], {"tail cut": 1}),
    "seal deleted": (["DELETE FROM seals WHERE log = 'events' AND first_position = 21"], {"chain broken": 21}),
    "log's id changed": (
        [f"UPDATE heads SET log_id = '{event_id(5)}' WHERE log = 'events'"], {"chain broken": 1},
    ),
}  # fmt: skip


@pytest.fixture
def past(sql_store: SqlStore, tmp_path: Path) -> Past:
    return Past.of(sql_store, tmp_path)


def test_what_nobody_changed_is_as_sealed(past: Past):
    assert past.found(anchored=True) == past.found(anchored=False) == {}
    assert past.found(anchored=True, since=25) == past.found(anchored=True, since=44) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_is_named_at_its_first_position(past: Past, kind: str):
    statements, expected = KINDS[kind]
    past.execute([statement.replace("{{}}", "{}") for statement in statements])

    assert past.found(anchored=False) == past.found(anchored=True) == {"events": expected}


def test_a_value_that_no_type_can_read_is_a_change_as_well(past: Past):
    if past.store.database.is_postgres:
        changes = ["UPDATE events SET time = 'infinity' WHERE position = 8"]
    else:
        changes = [
            "UPDATE events SET time = 'yesterday' WHERE position = 8",
            "UPDATE events SET subject = CAST(x'ff00' AS TEXT) WHERE position = 9",
            "UPDATE events SET recorded_at = replace(recorded_at, '+00:00', 'Z') WHERE position = 10",
        ]
    past.execute(changes)

    assert past.found(anchored=True) == {"events": {"altered": 8}}


def test_a_changed_context_is_found_in_its_own_log(past: Past):
    past.execute(["UPDATE task_contexts SET context = '{}' WHERE position = 7"])

    assert past.found(anchored=False) == {"task_contexts": {"altered": 7}}


def test_two_swapped_seals_break_the_chain(past: Past):
    second, third = past.store.seals.read("events", after=10, limit=2)
    past.stamp(replace(second, first=third.first, last=third.last))
    past.stamp(replace(third, first=second.first, last=second.last))

    assert past.found(anchored=False) == {"events": {"chain broken": 11}}


def test_a_change_with_its_seal_made_anew_breaks_the_chain_behind_it_and_the_anchor_names_the_seal(past: Past):
    past.execute(["UPDATE events SET data = '{}' WHERE position = 15"])
    past.stamp_anew([11])

    assert past.found(anchored=False) == {"events": {"chain broken": 21}}
    assert past.found(anchored=True) == {"events": {"chain broken": 21, "re-stamped": 11}}


def test_a_change_with_the_whole_chain_made_anew_is_found_by_the_anchor_and_not_without(past: Past):
    past.execute(["UPDATE events SET data = '{}' WHERE position = 15"])
    past.stamp_anew([11, 21, 31])

    assert past.found(anchored=False) == {}
    assert past.found(anchored=True) == {"events": {"re-stamped": 11}}


def test_a_tail_that_was_cut_with_its_seals_is_found_by_the_anchor_and_not_without(past: Past):
    past.execute(
        [
            "DELETE FROM events WHERE position > 20",
            "DELETE FROM seals WHERE log = 'events' AND first_position > 20",
            HEAD.format(position=20),
        ]
    )

    assert past.found(anchored=False) == {}
    assert past.found(anchored=True) == {"events": {"tail cut": 21}}


def test_it_is_still_found_when_the_log_has_grown_again(past: Past):
    past.execute(
        [
            "DELETE FROM events WHERE position > 20",
            "DELETE FROM seals WHERE log = 'events' AND first_position > 20",
            HEAD.format(position=20),
        ]
    )
    past.store.events.append([])
    grow(past.store, 3, anchor=past.anchor)

    assert past.found(anchored=True)["events"] == {"re-stamped": 21}


def test_verification_from_a_position_leaves_out_what_lies_before(past: Past):
    past.execute(["UPDATE events SET data = '{}' WHERE position IN (9, 35)"])

    assert past.found(anchored=True, since=10) == {"events": {"altered": 9}}
    assert past.found(anchored=True, since=11) == {"events": {"altered": 35}}
    assert past.found(anchored=True, since=41) == {}


def test_what_is_appended_meanwhile_is_no_change(past: Past):
    seals = past.store.seals
    read, calls = seals.digests, []

    def growing(*arguments, **named):
        if not calls:
            calls.append(1)
            run(past.store, 3)
            grow(past.store, 1)
        return read(*arguments, **named)

    seals.digests = growing  # type: ignore[method-assign]
    assert past.found(anchored=True) == {}
    assert calls
