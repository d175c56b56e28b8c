"""TaskContext: kept whole, read back without loss, the same in every replay."""

import hashlib
import json
import random
from datetime import UTC, datetime
from uuid import UUID

import pytest
from msgspec import structs
from pydantic import BaseModel

from domain.context import Failure, Run, TaskContext
from domain.effects import Call, Effect, EmitEvent, IndexDocument
from domain.errors import PermanentError
from tests.factories import RecordedEventFactory

TRAPS = [
    "{}",
    "null",
    "0",
    '"text"',
    '{"total": 1e2, "n":1.50,\n\t"big":12345678901234567890123}',
    '{"a":",\\"data\\":{}","data":{"data":[1,"data"]}}',
    '[",\\"data\\":", "\\u002c\\"data\\":1", {"outputs":{}, "effects":[], "run":null}]',
    '{"a":1,"data":"}"}',
    '"\\u0000\\ud83d\\ude00\\u2028 😀 \\\\\\""',
    '{ "a" : [ ] , "data" : { "data" : null } }',
    "-0.0",
    "7" * 400,
    "[" * 64 + "]" * 64,
]
TRAP_TEXT = 'a","data":{"x":1},\\",\\"data\\":'
RUN = Run(
    pipeline="orders",
    generation=3,
    attempt=2,
    fingerprint="f00",
    status="failed",
    seconds={"first": 0.25, "second": 1e-06},
    failure=Failure(node="second", type="ValueError", message=',"data":', where="a.py:3 in f"),
)


def context_of(data: str = "{}", **event) -> TaskContext:
    return TaskContext(event=RecordedEventFactory(position=7, id=SOME_ID, subject="s", data=data, **event))


SOME_ID = "0196f3a2-5b7c-7e1f-8a2b-3c4d5e6f7a8b"


@pytest.mark.parametrize("data", TRAPS)
@pytest.mark.parametrize(
    "run", [None, RUN, structs.replace(RUN, failure=None, seconds={})], ids=["no run", "failed", "done"]
)
def test_a_context_is_read_back_without_loss(data, run):
    context = context_of(
        data,
        source=TRAP_TEXT,
        key=TRAP_TEXT,
        cause=SOME_ID,
        depth=2,
        schema_version=4,
        attributes={"a": TRAP_TEXT, "b": '{"data":1}', "n": -1, "flag": True, "dataschema": ',"data":null'},
    )
    context = context.at("first").with_output("first", {"data": [TRAP_TEXT, {"data": 1.5}], "x": None})
    context = context.declare(EmitEvent(type="t", data={"a": TRAP_TEXT, "data": {"data": 1}}, subject=',"data":'))
    context = context.declare(IndexDocument(document={"data": TRAP_TEXT, "n": 10**30}))
    context = structs.replace(context, run=run, node="")

    read = TaskContext.from_json(context.json)

    assert read == context
    assert read.event.data == data
    assert read.data == json.loads(data)
    assert read.json == context.json
    assert read.digest == context.digest


def test_the_json_of_a_context_is_plain_json():
    context = context_of('{"a":1}').with_output("n", 1).ended(RUN)

    assert json.loads(context.json)["event"]["data"] == {"a": 1}
    assert list(json.loads(context.json)) == ["event", "outputs", "effects", "run"]


@pytest.mark.parametrize("seed", range(50))
def test_outputs_of_any_shape_are_read_back_without_loss(seed):
    draw = random.Random(seed)
    value = [draw.uniform(-1e300, 1e300), draw.random(), 10.0 ** draw.randrange(-320, 308), draw.getrandbits(200)]
    value += [{"".join(draw.choice('",:{}data\\é😀\x00') for _ in range(9)): -value[0]}, None, True, -0.0]
    context = context_of().with_output("n", value)

    read = TaskContext.from_json(context.json)

    assert read.outputs == {"n": value}
    assert read.json == context.json


def test_the_digest_is_over_event_outputs_and_effects():
    context = context_of().with_output("n", 1).at("n").declare(IndexDocument(document={"a": 1}))

    event, outputs, effects = context.event.json, '{"n":1}', context.json.split('"effects":')[1][: -len(',"run":null}')]
    expected = f'"event":{event},"outputs":{outputs},"effects":{effects}'
    assert context.digest == hashlib.sha256(expected.encode()).hexdigest()


def test_the_run_is_no_part_of_the_digest():
    context = context_of().with_output("n", 1)

    assert (
        context.ended(RUN).digest == context.ended(structs.replace(RUN, attempt=9, seconds={})).digest == context.digest
    )


def test_every_other_difference_is_part_of_the_digest():
    context = context_of().with_output("n", 1)
    others = [
        context_of("{ }").with_output("n", 1),
        context_of(source="other").with_output("n", 1),
        context_of(recorded_at=datetime(2027, 1, 1, tzinfo=UTC)).with_output("n", 1),
        context.with_output("n", 2),
        context.with_output("n", 1.0),
        context.with_output("m", 1),
        context.declare(IndexDocument(document={})),
        context.declare(IndexDocument(document={"a": 1})),
        context.at("n").declare(IndexDocument(document={})),
    ]

    assert len({context.digest, *(other.digest for other in others)}) == len(others) + 1


def test_time_is_when_the_event_was_recorded():
    recorded_at = datetime(2026, 5, 1, tzinfo=UTC)

    assert context_of(recorded_at=recorded_at).now == recorded_at


def test_ids_and_randomness_are_the_same_in_every_replay():
    def drawn():
        context = context_of().at("n")
        return [context.id(), context.id(1), context.random().random(), context.random(1).sample(range(100), 5)]

    assert drawn() == drawn()
    # Written down once: another version of Python, or another machine, must give the same.
    assert context_of().at("n").id() == "0196f3a2-5b7c-77cd-a44b-0ec294343a7a"
    assert context_of().at("n").random().random() == 0.45524255349245846


def test_ids_and_randomness_differ_by_event_node_and_ordinal():
    contexts = [context_of().at("n"), context_of().at("m"), TaskContext(event=RecordedEventFactory()).at("n")]
    ids = [context.id(ordinal) for context in contexts for ordinal in range(3)]
    numbers = [context.random(ordinal).random() for context in contexts for ordinal in range(3)]

    assert len(set(ids)) == len(set(numbers)) == 9
    assert all(UUID(text).version == 7 for text in ids)


def test_a_change_is_a_new_context():
    context = context_of()

    changed = context.with_output("n", 1)

    assert context.outputs == {}
    assert changed.outputs == {"n": 1}
    with pytest.raises(AttributeError):
        context.outputs = {}


def test_contexts_are_equal_by_what_is_stored_of_them():
    context = context_of(data="1").with_output("n", 1)

    assert structs.replace(context, data="as another schema reads it", node="n") == context
    assert context.with_output("n", 2) != context
    assert context.ended(RUN) != context
    assert context != context.outputs
    with pytest.raises(TypeError):
        hash(context)


class Total(BaseModel):
    amount: float
    at: datetime


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Total(amount=1, at=datetime(2026, 1, 1, tzinfo=UTC)), {"amount": 1.0, "at": "2026-01-01T00:00:00Z"}),
        ((1, 2), [1, 2]),
        ({1: {2: 3}}, {"1": {"2": 3}}),
        (UUID(SOME_ID), SOME_ID),
        ("grüße 😀", "grüße 😀"),
        (10**30, 10**30),
    ],
)
def test_an_output_is_kept_as_the_json_that_a_reader_will_see(value, kept):
    context = context_of().with_output("n", value)

    assert context.outputs == {"n": kept}
    assert TaskContext.from_json(context.json) == context


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        [{"a": -float("inf")}],
        Total(amount=float("nan"), at=datetime(2026, 1, 1, tzinfo=UTC)),
        {"a": [Total(amount=float("inf"), at=datetime(2026, 1, 1, tzinfo=UTC))]},
        "\ud800",
        ["\udfff"],
        {"\ud800": 1},
        b"\xff",
        object(),
        10**5000,
        [10**5000],
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_output_without_a_json_form_is_refused(value):
    with pytest.raises(PermanentError, match="'n'"):
        context_of().with_output("n", value)
    with pytest.raises(PermanentError, match="'n'"):
        context_of().at("n").declare(IndexDocument(document={"a": value}))


def test_an_effect_names_the_node_that_declares_it_and_counts_for_that_node():
    context = context_of()
    for node in ("a", "b", "a"):
        context = context.at(node).declare(IndexDocument(document={}))

    assert [(effect.node, effect.ordinal) for effect in context.effects] == [("a", 0), ("b", 0), ("a", 1)]


def test_a_declared_time_is_kept_as_text():
    context = context_of().at("n").declare(EmitEvent(type="t", data={}, time=datetime(2026, 1, 1, tzinfo=UTC)))

    assert context.effects[0].time == "2026-01-01T00:00:00Z"


class Welcome(EmitEvent):
    """A class of a user's own: `follow-ups` would never look for it."""


class Fax(Call, kw_only=True):
    kind = "fax"


@pytest.mark.parametrize("effect", [Welcome(type="t", data={}), Fax(), Effect(), "no effect"])
def test_an_effect_of_a_kind_that_nothing_carries_out_is_refused(effect):
    with pytest.raises(PermanentError, match="they are IndexDocument, EmitEvent, HttpCall, Email"):
        context_of().at("n").declare(effect)
