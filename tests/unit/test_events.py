"""Events: derived ids, lanes, digests of bodies, the names that are refused."""

import hashlib
import uuid
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from pydantic_core import to_json

from domain.errors import Fault, InvalidEvent
from domain.events import NewEvent, RecordedEvent, derived_id, envelope_faults, parse_time, refuse
from tests.factories import NewEventFactory, RecordedEventFactory

SOME_ID = "0196f3a2-5b7c-7e1f-8a2b-3c4d5e6f7a8b"


@pytest.mark.parametrize("ordinal", range(64))
def test_a_derived_id_is_a_uuid_of_version_7_with_the_time_of_its_origin(ordinal):
    text = derived_id(SOME_ID, "id", "node", ordinal)

    made = uuid.UUID(text)
    assert str(made) == text
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == uuid.UUID(SOME_ID).int >> 80  # 48 bits of Unix milliseconds


def test_a_derived_id_is_the_same_for_the_same_parts_on_every_machine():
    assert derived_id(SOME_ID, "id", "node", 0) == "0196f3a2-5b7c-7b06-9068-c3c846779636"


def test_derived_ids_differ_where_any_part_does():
    other = SOME_ID[:-1] + "c"
    made = [
        derived_id(SOME_ID),
        derived_id(other),
        derived_id(SOME_ID, "a"),
        derived_id(SOME_ID, "a", 0),
        derived_id(SOME_ID, "a", 1),
        derived_id(SOME_ID, "ab", "c"),
        derived_id(SOME_ID, "a", "bc"),
        *(derived_id(SOME_ID, "n", number) for number in range(1000)),
    ]

    assert len(set(made)) == len(made)


@pytest.mark.parametrize(
    ("subject", "lane"),
    [
        ("", 0),
        ("123456789", 0xCBF43926 & 0x7FFF),  # the check value that every definition of CRC-32 gives
        ("order-1", 32751),
        ("größe", 10633),
    ],
)
def test_a_lane_is_a_stable_number_of_the_subject(subject, lane):
    assert NewEventFactory(subject=subject).lane == lane


def test_the_body_digest_frames_type_subject_and_exact_data():
    event = NewEventFactory(key="k", type="t", subject="é", data='{"a": 1}')

    assert event.body_digest == hashlib.sha256(b'1:t2:\xc3\xa98:{"a": 1}').hexdigest()


def test_bodies_whose_parts_only_join_to_the_same_text_have_different_digests():
    bodies = [("ab", "c", "1"), ("a", "bc", "1"), ("abc", "", "1"), ("ab", "", "c1"), ("ab", "c", "1 ")]

    digests = {NewEventFactory(key="k", type=t, subject=s, data=d).body_digest for t, s, d in bodies}

    assert len(digests) == len(bodies)


def test_only_an_event_with_a_key_has_a_body_digest():
    assert NewEventFactory(key=None).body_digest is None


def test_the_time_and_the_source_are_no_part_of_the_body():
    one, other = (
        NewEventFactory(key="k", subject="s", data="1", source=source, time=time)
        for source, time in [("a", None), ("b", datetime(2026, 1, 1, tzinfo=UTC))]
    )

    assert one.body_digest == other.body_digest


def test_an_event_cannot_be_changed():
    with pytest.raises(AttributeError):
        NewEventFactory().data = "{}"
    with pytest.raises(AttributeError):
        RecordedEventFactory().position = 2


@pytest.mark.parametrize("missing", ["id", "type", "data"])
def test_a_new_event_needs_an_id_a_type_and_data(missing):
    members = {"id": SOME_ID, "type": "t", "data": "1"}
    del members[missing]

    with pytest.raises(TypeError, match=missing):
        NewEvent(**members)


def test_the_json_of_an_event_ends_with_the_exact_text_of_its_data():
    event = RecordedEventFactory(data='{"n" : 1e2}', attributes={"traceparent": "00-1"}, key="k")

    assert event.json.endswith(',"data":{"n" : 1e2}}')


UTCS = (UTC, ZoneInfo("UTC"))
texts = st.text(st.characters(exclude_categories=["Cs"]))
times = st.builds(lambda time, utc: time.replace(tzinfo=utc), st.datetimes(), st.sampled_from(UTCS))


@given(
    event=st.builds(
        RecordedEvent,
        position=st.integers(1, 2**63 - 1),
        id=texts,
        type=texts,
        source=texts,
        subject=texts,
        time=times,
        recorded_at=times,
        route=st.none() | texts,
        lane=st.integers(0, 32_767),
        data=st.just("1"),
        key=st.none() | texts,
        schema_version=st.integers(1, 2**31 - 1),
        cause=st.none() | texts,
        depth=st.integers(0, 16),
        attributes=st.dictionaries(texts, texts | st.booleans() | st.integers(-(2**31), 2**31 - 1)),
    )
)
def test_the_json_of_an_event_is_what_the_digests_of_stored_contexts_are_over(event):
    """Written by pydantic once; another writer that wrote one byte otherwise would make all results differ."""
    members = structs.asdict(event)
    del members["data"]

    assert event.json == f'{to_json(members).decode()[:-1]},"data":1}}'


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-31T09:30:00Z", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        ("2026-01-31t09:30:00z", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        ("2026-01-31 09:30:00+00:00", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        ("2026-01-31T00:30:00+02:00", datetime(2026, 1, 30, 22, 30, tzinfo=UTC)),
        ("2026-01-31T09:30:00.5-00:00", datetime(2026, 1, 31, 9, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-01-31T09:30:00.123456789Z", datetime(2026, 1, 31, 9, 30, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_as_utc(text, time):
    read = parse_time(text)

    assert read == time
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31",
        "2026-01-31T09:30Z",
        "2026-01-31T09:30:00",
        "20260131T093000Z",
        "2026-W05-6T09:30:00Z",
        "2026-02-29T09:30:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T09:30:61Z",
        "2026-01-31T09:30:00+25:00",
        "2026-01-31T09:30:00.Z",
        "2026-01-31T09:30:00Z ",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "٢٠٢٦-01-31T09:30:00Z",
    ],
)
def test_a_text_that_is_no_rfc_3339_time_is_refused(text):
    with pytest.raises(ValueError):
        parse_time(text)


def test_a_time_of_any_offset_is_written_so_that_it_is_read_back():
    there = timezone(timedelta(hours=5, minutes=30))
    event = RecordedEventFactory(time=datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=there))

    assert f'"time":"{event.time.isoformat()}"' in event.json
    assert parse_time(event.time.isoformat()) == event.time


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"type": ""}, "/type"),
        ({"type": "t" * 201}, "/type"),
        ({"type": "a\x7f"}, "/type"),
        ({"type": "a\n"}, "/type"),
        ({"type": "ü"}, "/type"),
        ({"source": "s" * 513}, "/source"),
        ({"source": "a\x00"}, "/source"),
        ({"subject": "s" * 513}, "/subject"),
        ({"subject": "a\r\nb"}, "/subject"),
        ({"subject": "a\n"}, "/subject"),
        ({"key": ""}, ""),
        ({"key": "k" * 201}, ""),
        ({"key": "a\tb"}, ""),
    ],
)
def test_names_that_no_log_line_should_meet_are_faults(changed, place):
    good = {"type": "t" * 200, "source": "s" * 512, "subject": "größe" * 100, "key": "k" * 200}

    assert envelope_faults(**good) == []
    assert [fault.pointer for fault in envelope_faults(**good | changed)] == [place]


def test_faults_refuse_an_event_and_no_faults_do_not():
    faults = [Fault("/type", "name", "Too long."), Fault("", "key", "Too short.")]

    refuse([])
    with pytest.raises(InvalidEvent, match=r"/type: Too long\.; event: Too short\.") as raised:
        refuse(faults)

    assert raised.value.faults == tuple(faults)


def test_an_event_is_rebuilt_from_its_members():
    event = RecordedEventFactory(data="[1, 2]", cause=SOME_ID, depth=3, attributes={"n": 1})
    members = {name: getattr(event, name) for name in RecordedEvent.__struct_fields__ if name != "data"}
    texts = {name: members[name].isoformat() for name in ("time", "recorded_at")}

    assert RecordedEvent.from_members({**members, **texts}, event.data) == event
