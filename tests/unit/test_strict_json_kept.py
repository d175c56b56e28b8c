"""Strict JSON: what is good is kept exactly, and read as the standard library reads it."""

import json
import random
import re
import tracemalloc

import pytest

from domain.errors import MalformedJson, TooLarge
from domain.json_faults import MAX_WALK
from domain.strict_json import decode, elements
from domain.strict_json import members as values_and_exact_texts

DIGITS = "7" * 401


def members(text):
    """Each member's value, and the exact text it was read from."""
    values, exact = values_and_exact_texts(text)
    return {name: (value, exact(name)) for name, value in values.items()}


@pytest.mark.parametrize(
    "value",
    [
        "1e2",
        "1E-7",
        "1.50",
        "-0",
        "-0.0",
        "12345678901234567890123",
        "7" * 400,
        "1e-400",
        '"\\u0000"',
        '"\\/\\b\\f\\n\\r\\t\\"\\\\"',
        '"\\ud83d\\ude00 😀"',
        '"a{[\\"}],:"',
        f'"{DIGITS}"',
        "[ 1 ,\t2\r\n, {} ]",
        '{ "a" : { } , "b":[ ] }',
        "true",
        "false",
        "null",
        '"\x7f\u2028"',
        "[" * 64 + "]" * 64,
        '{"a":' * 64 + "1" + "}" * 64,
        "[" + "{}," * 200 + "[]]",
    ],
)
def test_a_good_value_is_kept_exactly_and_read_as_python_reads_it(value):
    expected = json.loads(value)

    assert decode(f" {value}\n") == expected
    assert members(f'{{"before":[], "data" :\t{value} , "after":1}}')["data"] == (expected, value)
    assert elements(f" [ {value} ,{value}]\n") == [value, value]


def test_a_long_text_with_many_digits_in_it_is_read():
    text = json.dumps({"id": DIGITS, "words": "x" * MAX_WALK})

    assert decode(text)["id"] == DIGITS


def test_numbers_as_long_as_a_double_holds_are_read_and_no_longer_ones():
    assert decode("9" * 209 + "e99") == float("9" * 209 + "e99")
    with pytest.raises(MalformedJson):
        decode("9" * 210 + "e99")


def test_of_an_array_of_too_many_elements_few_are_held_at_a_time():
    text = "[" + "10," * 1_000_000 + "10]"
    elements("[1]", 1)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            elements(text, 50_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 1_000_000


def test_an_array_of_few_elements_with_many_commas_is_cut_as_any_other():
    rows = [f'[{"1," * 20}"a]b",{"9" * 5000}]' for _ in range(3)]

    assert elements(f"[{','.join(rows)}]", 3) == rows
    with pytest.raises(TooLarge):
        elements(f"[{','.join(rows)}]", 2)
    with pytest.raises(MalformedJson):
        elements(f"[{' '.join(rows)}]", 3)


def test_the_envelope_and_the_array_of_a_batch_do_not_count_as_levels():
    data = "[" * 64 + "]" * 64

    assert elements(f'[{{"data":{data}}}]') == [f'{{"data":{data}}}']
    assert members(f'{{"data":{data}}}')["data"][1] == data


def test_names_are_read_with_their_escapes():
    assert members('{"\\u0061\\"":1," b ":2,"":3}') == {'a"': (1, "1"), " b ": (2, "2"), "": (3, "3")}


def test_an_empty_object_has_no_members_and_an_empty_array_no_elements():
    assert members(" { } ") == {}
    assert elements("\n[ ]") == []


def random_value(draw: random.Random, depth: int = 0):
    kind = draw.randrange(8 if depth < 5 else 6)
    if kind == 6:
        return [random_value(draw, depth + 1) for _ in range(draw.randrange(5))]
    if kind == 7:
        return {random_text(draw): random_value(draw, depth + 1) for _ in range(draw.randrange(5))}
    return [
        None,
        draw.random() < 0.5,
        draw.randrange(-(10**25), 10**25),
        draw.uniform(-1e9, 1e9),
        draw.expovariate(1) * 10.0 ** draw.randrange(-300, 300),
        random_text(draw),
    ][kind]


def random_text(draw: random.Random) -> str:
    return "".join(draw.choice('abc"\\/{}[]:, \x00\n\té€😀\u2028') for _ in range(draw.randrange(8)))


@pytest.mark.parametrize("seed", range(300))
def test_any_value_is_read_as_python_reads_it_and_its_slices_are_its_text(seed):
    draw = random.Random(seed)
    value = {random_text(draw): random_value(draw) for _ in range(draw.randrange(1, 6))}
    text = json.dumps(value, ensure_ascii=seed % 2 == 0, indent=draw.choice([None, 0, "\t"]))

    found = members(text)

    assert {name: read for name, (read, _) in found.items()} == value
    assert decode(text) == value
    assert [json.loads(raw) for _, raw in found.values()] == list(value.values())
    assert all(raw in text and raw == raw.strip() for _, raw in found.values())


@pytest.mark.parametrize("seed", range(300))
def test_any_damaged_text_is_refused_as_python_refuses_it(seed):
    draw = random.Random(seed)
    text = json.dumps({"a": random_value(draw), "b": [random_value(draw)]})
    place = draw.randrange(len(text))
    damaged = text[:place] + draw.choice(["", '"', "}", "]", ",", ":", "x", "\\", "0", "-"]) + text[place + 1 :]
    try:
        expected = json.loads(damaged, parse_constant=float)
    except ValueError:
        with pytest.raises(MalformedJson):
            members(damaged)
        return

    refusal = None
    try:
        assert {name: value for name, (value, _) in members(damaged).items()} == expected
    except MalformedJson as error:
        refusal = error.detail
    # The damage may have made JSON that Python takes and we do not.
    assert refusal is None or re.search(r"twice|lone surrogate|finite number", refusal)
