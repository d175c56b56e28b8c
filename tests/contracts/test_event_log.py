"""What every event log promises: positions, exact text, reading by selection."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from msgspec.structs import asdict, replace

from application.subscription import Lane, Selection
from domain.events import NewEvent
from tests.factories import EPOCH, NewEventFactory, event_id
from tests.stores import Store


def append(store: Store, **changes) -> NewEvent:
    event = NewEventFactory(**changes)
    [verdict] = store.events.append([event])
    assert verdict.refusal is None
    return event


def positions(store: Store, limit: int = 100, **selection) -> list[int]:
    return [event.position for event in store.events.read(Selection(**selection), limit=limit)]


def test_an_empty_log_has_head_zero_and_nothing_to_read(store: Store):
    assert store.events.head() == 0
    assert positions(store) == []
    assert store.events.get(event_id(10**9)) is None
    assert store.events.count(Selection()) == {}


def test_an_append_of_nothing_has_no_verdicts(store: Store):
    assert store.events.append([]) == []
    assert store.events.append([], atomic=True) == []


def test_positions_count_from_one_without_a_gap_over_several_appends(store: Store):
    events = NewEventFactory.build_batch(5)

    verdicts = store.events.append(events[:2]) + store.events.append(events[2:])

    assert [(verdict.event_id, verdict.position) for verdict in verdicts] == [
        (event.id, position) for position, event in enumerate(events, 1)
    ]
    assert not any(verdict.repeated or verdict.refusal for verdict in verdicts)
    assert store.events.head() == 5
    assert [event.id for event in store.events.read(Selection(), limit=9)] == [event.id for event in events]


def test_an_event_is_read_back_as_it_was_written(store: Store):
    event = append(
        store,
        type="a.b",
        source="/søurce",
        subject="sübject 日本",
        data='{ "b": 1.50,\n "a": "\\u0000 \\ud83d\\ude00 \U0001f600", "n": 12345678901234567890 }',
        time=datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=UTC),
        route="pipes",
        key="k-1",
        schema_version=3,
        cause=event_id(7),
        depth=2,
        attributes={"traceparent": "00-1", "n": 4, "flag": True, "odd": "\u0000"},
    )

    found = store.events.get(event.id)

    assert found is not None
    shared = ("id", "type", "source", "subject", "data", "time", "route", "key", "schema_version", "cause", "depth")
    assert {name: getattr(found, name) for name in shared} == {name: getattr(event, name) for name in shared}
    assert found.attributes == event.attributes
    assert (found.position, found.lane) == (1, event.lane)
    assert store.events.read(Selection(), limit=1) == [found]


def test_an_event_without_optional_parts_is_read_back_without_them(store: Store):
    event = append(store, subject="", source="", route=None)
    found = store.events.get(event.id)
    assert found is not None
    assert (found.subject, found.source, found.route, found.key, found.cause) == ("", "", None, None, None)
    assert found.attributes == {}


def test_what_the_events_of_an_append_share_lack_or_have_apart_is_each_ones_own(store: Store):
    some = {"cause": event_id(7), "attributes": {"n": 1}, "time": datetime(2026, 2, 3, tzinfo=UTC), "depth": 1}
    alike = NewEventFactory.build_batch(3, subject="one", data="1", **some)
    some_without = [NewEventFactory(subject="one", data="1"), *alike, NewEventFactory(subject="one", data="1")]
    apart = [NewEventFactory(type=f"t{number}", source=f"s{number}", schema_version=number) for number in (1, 2)]
    for batch in (alike, [replace(event, id=event_id(10**6 + i)) for i, event in enumerate(some_without)], apart):
        head = store.events.head()
        store.events.append(batch)
        found = store.events.read(Selection(after=head), limit=9)

        names = ("id", "type", "source", "subject", "data", "schema_version", "cause", "depth", "attributes", "lane")
        assert [[getattr(event, name) for name in names] for event in found] == [
            [getattr(event, name) for name in names] for event in batch
        ]
        assert [event.time for event in found] == [
            event.time or found[at].recorded_at for at, event in enumerate(batch)
        ]


def test_an_event_without_a_time_happened_when_it_was_recorded(store: Store):
    with_time = store.events.get(append(store, time=EPOCH).id)
    without = store.events.get(append(store).id)
    assert with_time is not None
    assert without is not None
    assert with_time.time == EPOCH != with_time.recorded_at
    assert without.time == without.recorded_at
    assert abs(without.recorded_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert without.recorded_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("year", [1, 999, 1969, 9999])
def test_a_time_of_any_year_keeps_its_microseconds_and_its_order(store: Store, year: int):
    time = datetime(year, 6, 1, 12, 0, 0, 1, tzinfo=UTC)
    event = append(store, time=time)

    found = store.events.get(event.id)

    assert found is not None
    assert found.time == time
    assert positions(store, since=time, until=time + timedelta(microseconds=1)) == [1]
    assert positions(store, since=time + timedelta(microseconds=1)) == []
    assert positions(store, until=time) == []


def test_a_time_with_an_offset_is_kept_as_utc(store: Store):
    event = append(store, time=datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))))
    found = store.events.get(event.id)
    assert found is not None
    assert found.time.isoformat() == "2025-12-31T20:00:00+00:00"


def test_a_selection_by_columns_wants_all_of_them_equal(store: Store):
    append(store, type="a", route="x")
    append(store, type="b", route="x")
    append(store, type="a", route=None)
    append(store, type="a", route="x", subject="s")

    assert positions(store, where={"type": "a"}) == [1, 3, 4]
    assert positions(store, where={"type": "a", "route": "x"}) == [1, 4]
    assert positions(store, where={"route": None}) == [3]
    assert positions(store, where={"subject": "s"}) == [4]
    assert positions(store, where={"type": "A"}) == []


def test_since_is_inclusive_and_until_exclusive(store: Store):
    for hour in range(5):
        append(store, time=EPOCH + timedelta(hours=hour))
    since, until = EPOCH + timedelta(hours=1), EPOCH + timedelta(hours=3)
    assert positions(store, since=since) == [2, 3, 4, 5]
    assert positions(store, until=until) == [1, 2, 3]
    assert positions(store, since=since, until=until) == [2, 3]


def test_after_is_exclusive_and_last_inclusive(store: Store):
    store.events.append(NewEventFactory.build_batch(5))
    assert positions(store, after=2) == [3, 4, 5]
    assert positions(store, last=2) == [1, 2]
    assert positions(store, after=1, last=4) == [2, 3, 4]
    assert positions(store, after=1, last=4, limit=2) == [2, 3]
    assert positions(store, after=5) == positions(store, after=99) == positions(store, last=0) == []


def test_a_list_of_positions_names_the_only_rows_there_are(store: Store):
    store.events.append(NewEventFactory.build_batch(5))
    assert positions(store, positions=(1, 3, 4, 77)) == [1, 3, 4]
    assert positions(store, positions=(1, 3, 4), after=1, limit=1) == [3]
    assert positions(store, positions=(1, 3, 4), last=3) == [1, 3]
    assert positions(store, positions=()) == []


def test_a_list_of_positions_and_a_filter_select_what_both_select(store: Store):
    store.events.append([NewEventFactory(type="ab"[position % 2]) for position in range(1, 9)])
    selection = {"where": {"type": "a"}, "positions": (1, 3, 4, 5, 6)}
    assert positions(store, **selection) == [4, 6]
    assert positions(store, **selection, limit=1) == [4]
    found = store.events.stream(Selection(**selection), page=1)
    assert [event.position for event in found] == [4, 6]
    assert store.events.count(Selection(**selection)) == {"a": 2}


def test_a_list_of_positions_may_be_longer_than_a_page(store: Store):
    store.events.append(NewEventFactory.build_batch(12))
    selection = Selection(positions=tuple(range(1, 10_001)))
    assert [event.position for event in store.events.stream(selection, page=5)] == list(range(1, 13))
    assert store.events.count(selection) == {"order.placed": 12}


def test_a_list_of_positions_may_be_longer_than_databases_take_parameters(store: Store):
    for _ in range(3):
        append(store)
    listed = Selection(positions=tuple(range(1, 100_001)))
    assert positions(store, positions=listed.positions) == [1, 2, 3]
    assert positions(store, positions=listed.positions, where={"source": "shop"}) == [1, 2, 3]
    assert store.events.count(listed) == {"order.placed": 3}
    assert store.events.nth(listed, 2) == 2


def test_a_stream_gives_all_selected_events_a_page_at_a_time(store: Store):
    store.events.append([NewEventFactory(type="ab"[number % 2]) for number in range(11)])
    odd = Selection(where={"type": "a"}, after=1)
    for page in (1, 2, 5, 100):
        assert [event.position for event in store.events.stream(odd, page=page)] == [3, 5, 7, 9, 11]


def test_events_are_counted_by_type(store: Store):
    store.events.append([NewEventFactory(type=name) for name in "abaac"])
    assert store.events.count(Selection()) == {"a": 3, "b": 1, "c": 1}
    assert store.events.count(Selection(after=1, last=4)) == {"a": 2, "b": 1}


def test_an_event_with_route_and_not_before_is_direct_and_no_other(store: Store):
    due = datetime.now(UTC) + timedelta(hours=1)
    append(store, not_before=due)
    append(store)
    append(store, not_before=due, route=None)
    assert positions(store, where={"direct": True}) == [1]
    assert positions(store, where={"direct": False}) == [2, 3]


def test_events_of_one_subject_share_a_lane(store: Store):
    first, second, other = (append(store, subject=subject) for subject in ("s", "s", "t"))
    lanes = [event.lane for event in store.events.read(Selection(), limit=3)]
    assert lanes == [first.lane, second.lane, other.lane]
    assert lanes[0] == lanes[1] != lanes[2]


def test_reading_does_not_hand_out_the_store(store: Store):
    event = append(store, attributes={"a": 1})
    found = store.events.get(event.id)
    assert found is not None
    assert replace(found, data="{}") != store.events.get(event.id) == found


def test_an_event_is_found_by_its_source_and_key(store: Store):
    event = append(store, source="here", key="k")
    append(store, source="there", key=None)

    found = store.events.with_key("here", "k")

    assert found is not None
    assert found.id == event.id
    assert store.events.with_key("there", "k") is None
    assert store.events.with_key("here", "other") is None


def test_the_greatest_key_of_a_source_is_found(store: Store):
    assert store.events.last_key("clock") is None
    store.events.append(
        [NewEventFactory(source="clock", key=key) for key in ("2026-01-02", "2026-01-03", "2026-01-01")]
    )
    store.events.append([NewEventFactory(source="other", key="2027-01-01"), NewEventFactory(source="clock")])
    assert store.events.last_key("clock") == "2026-01-03"


def test_the_logs_clock_is_the_one_that_events_are_recorded_by(store: Store):
    before = store.events.now()
    store.events.append([NewEventFactory()])
    [event] = store.events.read(Selection(), limit=1)
    assert before <= event.recorded_at <= store.events.now()


def test_what_events_caused_is_found_by_depth_and_position(store: Store):
    root, other = append(store), append(store)
    deep = append(store, cause=root.id, depth=2)
    first, second = (append(store, cause=cause.id, depth=1) for cause in (other, root))
    append(store, cause=first.id, depth=2)

    def caused(*causes: NewEvent, limit: int = 9) -> list[str]:
        return [event.id for event in store.events.caused_by([cause.id for cause in causes], limit=limit)]

    assert caused(root) == [second.id, deep.id]
    assert caused(other, root) == [first.id, second.id, deep.id]
    assert caused(other, root, limit=2) == [first.id, second.id]
    assert caused(second) == caused() == []


def test_a_selection_says_of_each_event_whether_it_is_read(store: Store):
    for number in range(6):
        append(store, type="ab"[number % 2], time=EPOCH + timedelta(hours=number), subject=f"s{number}")
    everything = store.events.read(Selection(), limit=9)
    lane = Lane(everything[0].lane % 2, 2)
    for selection in (
        Selection(),
        Selection(where={"type": "a"}),
        Selection(where={"type": "b", "route": None}),
        Selection(after=2, last=4),
        Selection(positions=(2, 5, 9)),
        Selection(positions=()),
        Selection(since=EPOCH + timedelta(hours=1), until=EPOCH + timedelta(hours=3)),
        Selection(lane=lane),
    ):
        assert [event for event in everything if selection.has(asdict(event))] == store.events.read(selection, limit=9)


def test_the_position_at_a_time_is_the_last_that_was_recorded_by_then(store: Store):
    assert store.events.position_at(store.events.now()) == 0
    times = []
    for _ in range(5):
        store.later(0.02)
        times.append(store.events.now())
        store.later(0.02)
        append(store)
        append(store)

    assert [store.events.position_at(time) for time in times] == [0, 2, 4, 6, 8]
    assert store.events.position_at(EPOCH - timedelta(days=9000)) == 0
    assert store.events.position_at(store.events.now() + timedelta(days=1)) == 10
    for event in store.events.read(Selection(), limit=10):
        assert store.events.position_at(event.recorded_at) >= event.position
        assert store.events.position_at(event.recorded_at - timedelta(microseconds=1)) < event.position


def test_the_nth_selected_event_is_found(store: Store):
    for type_ in ("a", "b", "a", "a"):
        append(store, type=type_)
    everything, some = Selection(), Selection(where={"type": "a"}, after=1, last=4)
    assert [store.events.nth(everything, number) for number in (1, 4, 5)] == [1, 4, None]
    assert [store.events.nth(some, number) for number in (1, 2, 3)] == [3, 4, None]
    assert [store.events.nth(Selection(positions=(2, 4)), number) for number in (1, 2, 3)] == [2, 4, None]
