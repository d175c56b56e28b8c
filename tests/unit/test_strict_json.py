"""Strict JSON: what is refused, and where it is wrong."""

import time

import pytest

from domain.errors import MalformedJson
from domain.strict_json import decode, elements, members, text_of

DIGITS = "7" * 401

# What stands in the place of a value, and where in that value it is wrong.
BAD_VALUES = {
    "NaN": ("NaN", ""),
    "NaN inside": ('{"a":[0,NaN]}', "/a/1"),
    "infinity": ("Infinity", ""),
    "negative infinity": ("-Infinity", ""),
    "infinity inside": ('[{"x":-Infinity}]', "/0/x"),
    "a float too large": ("1e400", ""),
    "a negative float too large": ("-1e400", ""),
    "a float too large inside": ('{"a":{"b":1E+999}}', "/a/b"),
    "an int of 401 digits": (DIGITS, ""),
    "an int of 401 digits inside": (f"[1,-{DIGITS}]", "/1"),
    "an int of 5,000 digits": ("1" * 5000, ""),
    "a float of 401 decimals": ("0." + DIGITS, ""),
    "an exponent of 401 digits": ("1e-" + DIGITS, ""),
    "a name twice": ('{"a":1,"a":1}', "/a"),
    "a name twice, deep": ('{"a":[{"b":{"c":1,"d":2,"c":3}}]}', "/a/0/b/c"),
    "a name twice, once escaped": ('{"a":1,"\\u0061":2}', "/a"),
    "the empty name twice": ('{"":1,"":2}', "/"),
    "a lone high surrogate": ('"\\ud800"', ""),
    "a lone low surrogate": ('"\\udfff"', ""),
    "a lone surrogate in upper case": ('"\\uD83D"', ""),
    "surrogates in the wrong order": ('"\\ude00\\ud83d"', ""),
    "a lone surrogate inside": ('{"a":["x","\\ud83d"]}', "/a/1"),
    "a lone surrogate in a name": ('{"a":{"\\ud800":1}}', "/a"),
    "65 arrays": ("[" * 65 + "]" * 65, "/0" * 64),
    "65 objects": ('{"a":' * 65 + "1" + "}" * 65, "/a" * 64),
    "65 levels among many brackets": ('{"b":[[],[]],"a":' * 65 + "1" + "}" * 65, "/a" * 62 + "/b/0"),
    "100,000 arrays": ("[" * 100_000 + "]" * 100_000, "/0" * 64),
    "100,000 open arrays": ("[" * 100_000, "/0" * 64),
    "100,000 objects": ('{"a":' * 100_000 + "1" + "}" * 100_000, "/a" * 64),
    "single quotes": ("'a'", ""),
    "a bare word": ("nil", ""),
    "a word in another case": ("True", ""),
    "a leading zero": ("[01]", ""),
    "a leading plus": ("[+1]", "/0"),
    "a lone minus": ("[-]", "/0"),
    "a point without decimals": ("[1.]", ""),
    "a point without digits before": ("[.5]", "/0"),
    "an empty exponent": ("[1e]", ""),
    "a hexadecimal number": ("[0x10]", ""),
    "a trailing comma in an array": ("[1,]", "/1"),
    "a trailing comma in an object": ('{"a":1,}', ""),
    "a leading comma": ("[,1]", "/0"),
    "two commas": ("[1,,2]", "/1"),
    "no comma in an array": ("[1 2]", ""),
    "no comma in an object": ('{"a":1 "b":2}', ""),
    "no colon": ('{"a" 1}', "/a"),
    "no value": ('{"a":}', "/a"),
    "no name": ("{:1}", ""),
    "a name without quotes": ("{a:1}", ""),
    "a number as a name": ("{1:1}", ""),
    "the wrong bracket": ("[1}", ""),
    "a comment": ("[1/*one*/]", ""),
    "a raw newline in a string": ('"a\nb"', ""),
    "a raw tab in a name": ('{"a\tb":1}', ""),
    "a raw NUL in a string": ('"\x00"', ""),
    "an unknown escape": ('"\\x41"', ""),
    "a cut escape": ('"\\u12"', ""),
    "an escape that is no hex": ('"\\u12g4"', ""),
    "a form feed as space": ("[\f1]", "/0"),
    "a no-break space": ("[\u00a01]", "/0"),
    "a byte-order mark inside": ("[\ufeff1]", "/0"),
}
CUT_SHORT = ["[1", '{"a":1', '"abc', '"abc\\', "[", "{", '{"a"', '{"a":', "-", "tru", '"\\u12', ""]

bad_values = pytest.mark.parametrize(("text", "place"), BAD_VALUES.values(), ids=BAD_VALUES)


def pointer_of(raised) -> str:
    [fault] = raised.value.faults
    return fault.pointer


@bad_values
def test_a_bad_text_is_refused_with_a_pointer(text, place):
    with pytest.raises(MalformedJson) as raised:
        decode(text)

    assert pointer_of(raised) == place


@bad_values
def test_a_bad_member_is_refused_with_a_pointer(text, place):
    with pytest.raises(MalformedJson) as raised:
        members(f'{{"type":"t","data":{text},"last":1}}')

    assert pointer_of(raised) == "/data" + place


@pytest.mark.parametrize("text", CUT_SHORT)
def test_a_text_that_is_cut_short_is_refused(text):
    with pytest.raises(MalformedJson):
        decode(text)
    with pytest.raises(MalformedJson):
        members(f'{{"type":"t","data":{text}')
    with pytest.raises(MalformedJson):
        elements(f'[{{}},{{"data":{text}')


@bad_values
def test_a_bad_element_is_refused_with_a_pointer_by_itself_or_with_its_array(text, place):
    with pytest.raises(MalformedJson) as raised:
        [members(each) for each in elements(f'[{{}}, {{"data":{text}}}]')]

    assert pointer_of(raised) in {"/1/data" + place, "/data" + place}


def test_what_is_json_and_not_strict_enough_is_the_fault_of_its_element_alone():
    texts = elements('[{"a":1}, {"a":1,"a":2}, 1e999]')

    assert texts == ['{"a":1}', '{"a":1,"a":2}', "1e999"]


@pytest.mark.parametrize("text", ["", " ", "[1]x", "{}{}", "{} []", '{"a":1}}', "1 2", "null,", "{}\x00", "{}\u2028"])
def test_a_text_that_is_not_one_value_is_refused(text):
    with pytest.raises(MalformedJson):
        decode(text)
    with pytest.raises(MalformedJson):
        members(text)


@pytest.mark.parametrize("text", ["[1],", "[1] x", "[1", "[1 2]", "[1,]", "[,]", "", "{}", "1", "[1]]"])
def test_a_text_that_is_not_one_array_has_no_elements(text):
    with pytest.raises(MalformedJson):
        elements(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a":1,"a":2}', "/a"),
        ('{"a/b":NaN}', "/a~1b"),
        ('{"a~b":NaN}', "/a~0b"),
        ('{"\\ud800":1}', ""),
        ('{"a":1 "b":2}', ""),
        ('{"a" 1}', "/a"),
        ('{"a":1,}', ""),
        ('{"a\nb":1}', ""),
        ("{,}", ""),
        ('{"a":1', ""),
    ],
)
def test_a_bad_envelope_is_refused_with_a_pointer(text, place):
    with pytest.raises(MalformedJson) as raised:
        members(text)

    assert pointer_of(raised) == place


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-16-le"),
        '{"a":1}'.encode("utf-16-be"),
        '{"a":1}'.encode("utf-32"),
        b'{"a":"\xff"}',
        b'{"a":"\xc0\xaf"}',  # overlong
        b'{"a":"\xed\xa0\x80"}',  # a surrogate
        b'{"a":"\xf4\x90\x80\x80"}',  # past the last character
        b'{"a":"\xe2\x82"}',  # cut short
        "grüße".encode("latin-1"),
    ],
)
def test_a_body_that_is_not_json_in_utf_8_without_a_mark_is_refused(body):
    with pytest.raises(MalformedJson):
        members(text_of(body))


def test_a_byte_order_mark_is_called_by_its_name():
    with pytest.raises(MalformedJson, match="byte-order mark"):
        text_of(b"\xef\xbb\xbf{}")


def test_a_body_in_utf_8_is_its_text():
    assert text_of('{"a":"grüße 😀"}'.encode()) == '{"a":"grüße 😀"}'


@pytest.mark.parametrize(
    "text",
    [
        '{"data":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"data":' + '{"a":' * 100_000 + "}" * 100_000 + "}",
        '{"data":[' + "1," * 500_000 + "NaN]}",
        '{"data":[' + "1" * 5_000_000 + "]}",
        '{"data":"' + ("1" * 400 + " ") * 2_500 + '", "data":1}',
        '{"data":[' + "{}," * 340_000 + "NaN]}",
        "[" + "1," * 8_000_000 + "NaN]",
    ],
    ids=["arrays", "objects", "late NaN", "long number", "almost long numbers", "many objects", "16 MiB"],
)
def test_what_is_refused_is_refused_quickly(text):
    began = time.process_time()

    with pytest.raises(MalformedJson):
        members(text)

    assert time.process_time() - began < 5
