"""Anonymising: what is replaced in an event, what stays because its schema says it, and what an operator may say."""

import json
from datetime import timedelta
from typing import Any, Literal

import pytest
from msgspec.structs import replace
from pydantic import BaseModel, Field

from domain.anonymising import Anonymiser
from domain.events import RecordedEvent, lane_of
from domain.pseudonyms import Pseudonyms
from playhead import Schema
from tests.factories import RecordedEventFactory


class Line(BaseModel):
    sku: str
    unit: Literal["piece", "kg"]


class Order(BaseModel):
    kind: Literal["order"]
    name: str
    amount: float
    alias_: str = Field("none", alias="nick")
    lines: list[Line]
    extra: dict[str, Any] = {}
    paid: bool | None = None


DATA = {
    "kind": "order",
    "name": "Ann Lee",
    "amount": 12.5,
    "nick": "none",
    "lines": [{"sku": "AB-7", "unit": "kg"}, {"sku": "AB-7", "unit": "piece"}],
    "extra": {"ann@example.com": ["Ann Lee", 4]},
    "paid": True,
}
ORDER = Schema(Order)
PSEUDONYMS = Pseudonyms(b"a key")


def event_with(data: object = None, **members) -> RecordedEvent:
    text = json.dumps(DATA if data is None else data)
    return RecordedEventFactory(data=text, subject="Ann Lee", source="shop-7", key="k-1", **members)


def anonymised(event: RecordedEvent, schema: Schema = ORDER, **rules: Any) -> RecordedEvent:
    return Anonymiser(pseudonyms=PSEUDONYMS, **rules).event(event, schema)


def data_of(event: RecordedEvent, schema: Schema = ORDER, **rules: Any) -> Any:
    return json.loads(anonymised(event, schema, **rules).data)


def test_every_text_is_replaced_that_the_schema_does_not_say():
    found = data_of(event_with())

    assert list(found) == list(DATA)
    assert (found["kind"], found["nick"], found["amount"], found["paid"]) == ("order", "none", 12.5, True)
    assert [line["unit"] for line in found["lines"]] == ["kg", "piece"]
    text = json.dumps(found)
    for word in ("Ann", "Lee", "AB-7", "example.com"):
        assert word not in text


def test_the_same_text_is_the_same_pseudonym_everywhere_in_data_and_envelope():
    event = anonymised(event_with(attributes={"who": "Ann Lee", "n": 4}))
    found = json.loads(event.data)
    [(name, values)] = found["extra"].items()

    assert found["name"] == event.subject == values[0] == event.attributes["who"] != "Ann Lee"
    assert found["lines"][0]["sku"] == found["lines"][1]["sku"]
    assert name.endswith(".example.org")
    assert event.lane == lane_of(event.subject)
    assert event.attributes["n"] == 4


def test_the_envelope_has_no_word_of_before_and_the_times_keep_their_distance():
    event = event_with(cause="01900000-0000-7000-8000-000000000001")
    event = replace(event, time=event.recorded_at - timedelta(hours=3))
    found = anonymised(event)

    for name in ("id", "source", "subject", "key", "cause", "time", "recorded_at"):
        assert getattr(found, name) != getattr(event, name), name
    assert found.recorded_at - found.time == timedelta(hours=3)
    assert (event.time - found.time) % timedelta(weeks=1) == timedelta(0)
    assert (found.position, found.type, found.route) == (event.position, event.type, event.route)


def test_an_id_in_data_is_the_pseudonym_of_the_event_that_has_it():
    first = event_with()
    second = event_with({**DATA, "name": first.id})

    assert data_of(second)["name"] == anonymised(first).id


def test_times_in_data_are_moved_as_those_of_the_event():
    event = event_with()
    found = anonymised(replace(event, data=json.dumps({**DATA, "name": event.time.isoformat()})))

    assert json.loads(found.data)["name"] == found.time.isoformat()


@pytest.mark.parametrize(
    ("pointer", "stays"),
    [
        ("/data/name", ["name"]),
        ("/data/lines/*/sku", ["lines"]),
        ("/data/extra", ["extra"]),
        ("/data", list(DATA)),
    ],
)
def test_texts_at_or_below_a_kept_pointer_stay(pointer: str, stays: list[str]):
    found = data_of(event_with(), kept=(pointer,))

    assert {name: found[name] for name in stays} == {name: DATA[name] for name in stays}
    assert ("Ann" in json.dumps({name: found[name] for name in found if name not in stays})) is False


def test_the_envelope_may_be_kept_too():
    found = anonymised(event_with(), kept=("/subject", "/source", "/key"))

    assert (found.subject, found.source, found.key) == ("Ann Lee", "shop-7", "k-1")


def test_a_kept_pointer_keeps_the_names_that_it_leads_by_and_no_others():
    data = {**DATA, "extra": {"ann@example.com": {"town": "Ulm"}, "bob@example.com": {"town": "Ulm"}}}

    named = data_of(event_with(data), kept=("/data/extra/ann@example.com/town",))["extra"]
    any_ = data_of(event_with(data), kept=("/data/extra/*/town",))["extra"]

    assert named["ann@example.com"] == {"town": "Ulm"}
    assert "bob@example.com" not in named
    assert [each.keys() == {"town"} for each in any_.values()] == [True, True]
    assert not {"ann@example.com", "bob@example.com"} & set(any_)


def test_numbers_are_replaced_where_that_is_asked_for():
    found = data_of(event_with(), replaced=("/data/amount", "/data/paid"))

    assert found["amount"] != 12.5
    assert 10 <= found["amount"] < 100
    assert found["paid"] is True


def test_names_of_older_data_stay_where_they_could_stand_in_code():
    schema = Schema(Order, version=2, upcasters={1: lambda data: data})
    data = {"full_name": "Ann Lee", "ann@example.com": 1}

    old = data_of(event_with(data, schema_version=1), schema)
    new = data_of(event_with(data, schema_version=2), schema)

    assert "full_name" in old
    assert "ann@example.com" not in old
    assert "full_name" not in new


def test_the_words_of_a_schema_are_not_those_of_json_schema_itself():
    class Odd(BaseModel):
        properties: str
        enum: str

    data = {"properties": "object", "enum": "string"}

    found = data_of(event_with(data), Schema(Odd))

    assert list(found) == ["properties", "enum"]
    assert found["properties"] != "object"
    assert found["enum"] != "string"
