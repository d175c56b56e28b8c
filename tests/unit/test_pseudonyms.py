"""Pseudonyms: of the same form, the same for the same text, and told by nobody without the key."""

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.pseudonyms import Pseudonyms, moved

MADE = Pseudonyms(b"a key")


def text(value: str, weeks: int = 3) -> str:
    return MADE.text(value, weeks=weeks)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("UA1545", r"[A-Z]{2}\d{4}"),
        ("Ann Lee-Smith", r"[A-Z][a-z]{2} [A-Z][a-z]{2}-[A-Z][a-z]{4}"),
        ("+1 (555) 010-9999", r"\+\d \(\d{3}\) \d{3}-\d{4}"),
        ("Jürgen Müßig", r"[A-Z][äöüåéø][a-z]{4} [A-Z][äöüåéø][äöüåéø][a-z]{2}"),
        ("日本語 text", r"[月火水木金日]{3} [a-z]{4}"),
        ("ann@corp.example.com", r"[a-z]{3}@[a-z]{4}\.example\.org"),
        ("https://ann:pw@corp.example.com:8080/a/B7?x=1", r"https://[a-z]{4}\.example\.org/[a-z]/[A-Z]\d\?[a-z]=\d"),
        ("amqp://localhost:5672", r"amqp://[a-z]{9}\.example\.org"),
        ("2026-03-04T05:06:07.89+02:00", r"2026-02-11T05:06:07\.89\+02:00"),
        ("2026-03-04", "2026-02-11"),
        ("", ""),
        ("— !", "— !"),
    ],
)
def test_a_pseudonym_has_the_form_of_its_text(value: str, form: str):
    assert re.fullmatch(form, text(value)), text(value)


@pytest.mark.parametrize("value", ["0191e000-0000-7abc-8def-0123456789ab", "F47AC10B-58CC-4372-A567-0E02B2C3D479"])
def test_a_uuid_stays_one_of_its_version(value: str):
    made = text(value)

    assert (UUID(made).version, UUID(made).variant) == (UUID(value).version, UUID(value).variant)
    assert made != value
    assert made.isupper() == value.isupper()
    assert text(value.lower()) == made.lower()


@pytest.mark.parametrize("value", ["2026-02-30", "0001-01-01", "2026-99-99T00:00:00Z"])
def test_what_is_no_time_or_cannot_be_moved_is_text(value: str):
    assert re.fullmatch(r"\d{4}-\d\d-\d\d([A-Z]\d\d:\d\d:\d\d[A-Z])?", text(value))
    assert text(value) != value


@given(st.text(max_size=60))
def test_the_same_text_has_the_same_pseudonym_and_another_key_another(value: str):
    assert text(value) == Pseudonyms(b"a key").text(value, weeks=3)
    if sum(character.isalnum() for character in value) > 20 and not re.match(r"\d{4}-", value):
        assert Pseudonyms(b"another").text(value, weeks=3) != text(value) != value


@given(
    st.text(alphabet=st.characters(codec="ascii"), max_size=60).filter(
        lambda value: "@" not in value and "://" not in value
    )
)
def test_plain_text_keeps_its_length(value: str):
    assert len(text(value)) == len(value)


@pytest.mark.parametrize("value", [0, 7, -42, 1545, 2.5, -0.25, 0.001, 1e-07, 12345678901234567890])
def test_a_number_keeps_its_type_its_sign_and_its_digits(value: float):
    made = MADE.number(value)

    assert type(made) is type(value)
    assert made == MADE.number(value)
    assert (made < 0) == (value < 0)
    if isinstance(value, int):
        assert len(str(abs(made))) == len(str(abs(value))) or value < 0


def test_the_times_of_one_subject_are_moved_alike():
    weeks = {MADE.weeks(subject) for subject in map(str, range(300))}

    assert MADE.weeks("ann") == MADE.weeks("ann")
    assert len(weeks) > 100
    assert all(1 <= each <= 520 for each in weeks)
    assert moved(datetime(2026, 1, 15, 9, tzinfo=UTC), 2) == datetime(2026, 1, 1, 9, tzinfo=UTC)
    assert moved(datetime.min.replace(tzinfo=UTC), 2) == datetime.min.replace(tzinfo=UTC)
