"""Seals: what is hashed, and how. What was sealed once must verify for ever, so the values themselves stand here."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest

from domain.seals import GENESIS, canonical, row_digest, seal_of

ROW = [b"0190", b"order.placed", b"", None, b"1767225600000000", b'{"a": 1.50}']
SEAL = seal_of(
    log="events",
    log_id="01900000-0000-7000-8000-000000000000",
    first=11,
    digests=[row_digest(ROW), row_digest(ROW[::-1])],
    previous=GENESIS,
)


def test_the_values_are_those_of_every_release():
    assert row_digest(ROW).hex() == "e42568b70a7ad755d2ea7e05ff54f165ab72cfb9d75d63af6197930e6da4012a"
    assert SEAL.content.hex() == "e5d85c26faeb55d3af5c876aba163e3add499f8483518b83e2bd5510c7f75c2a"
    assert SEAL.chain.hex() == "1a7694c052a095250fee801d7588e0195e7bf528b8d84cee9cb5dd0faafd5390"


def test_the_large_field_enters_as_its_own_digest_so_that_it_may_be_erased():
    framed = b"4:019012:order.placed0:-16:176722560000000032:" + sha256(ROW[-1] or b"").digest()
    assert row_digest(ROW) == sha256(framed).digest()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([b"a", b"b", b"x"], [b"ab", b"", b"x"]),
        ([b"1:a", b"x"], [b"a", b"x"]),
        ([None, b"x"], [b"", b"x"]),
        ([None, b"x"], [b"-", b"x"]),
        ([b"a", None], [b"a", b""]),
    ],
)
def test_no_two_rows_look_alike(one: list[bytes | None], other: list[bytes | None]):
    assert row_digest(one) != row_digest(other)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("é", b"\xc3\xa9"),
        (True, b"1"),
        (False, b"0"),
        (-7, b"-7"),
        (datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC), b"1000005"),
        (datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), b"0"),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), b"-1"),
    ],
)
def test_a_value_has_one_canonical_form(value: datetime | str | int | None, expected: bytes | None):
    assert canonical(value) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"log": "task_contexts"}, {"log_id": "x"}, {"first": 10}, {"last": 13}, {"content": GENESIS},
        {"previous": bytes([1]) * 32}, {"chain": GENESIS}, {"digests": None}, {"digests": bytes(64)},
    ],
)  # fmt: skip
def test_a_seal_in_which_anything_was_changed_does_not_hold(changes: dict[str, object]):
    assert SEAL.holds
    assert not replace(SEAL, **changes).holds  # type: ignore[arg-type]
