"""The lines of a corpus: written in one order, read back as they were, and named where they cannot be read."""

import json

import pytest

from domain.corpus import lines_of, read_corpus
from domain.errors import InvalidCorpus
from tests.unit.past import (
    BY_SIZE,
    Past,
    corpus_of,
    double,
    greet,
    half,
    orders,
    text_of,
)


def lines(count: int = 2) -> list[bytes]:
    past = Past(double)
    past.run(*orders(count))
    return [line.encode() for line in text_of(past.export()).splitlines()]


def test_a_corpus_is_read_as_it_was_written():
    past = Past(BY_SIZE, greet)
    past.run(*orders(3, size="large"), {"number": 0, "size": "large"})
    corpus = corpus_of(past.export())

    read = read_corpus([line.encode() for line in lines_of(corpus.header, corpus.expectations)])

    assert {each.event.position: each for each in read.expectations} == {
        each.event.position: each for each in corpus.expectations
    }
    assert read.header.fingerprints == corpus.header.fingerprints


def test_lines_are_in_the_order_of_type_version_outcome_and_position():
    past = Past(half)
    past.run({"number": 0}, {"number": 1}, {"number": 0}, {"number": 2})

    found = [json.loads(line) for line in text_of(past.export()).splitlines()[1:]]

    assert [(each["outcome"][:9], each["event"]["position"]) for each in found] == [
        ("completed", 2), ("completed", 4), ("dead: Zer", 1), ("dead: Zer", 3),
    ]  # fmt: skip


@pytest.mark.parametrize("lost", [0, 1])
def test_an_empty_corpus_is_refused(lost: int):
    with pytest.raises(InvalidCorpus, match="empty"):
        read_corpus([*lines()[:lost], b"", b"  "])


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"[]",
        b"{}",
        b"\xff",
        b'{"outcome":"completed","event":{}}',
        b'{"outcome":"completed","outputs":[],"effects":[],"event":EVENT}',
        b'{"outcome":"completed","outputs":{},"effects":{"a":1},"event":EVENT}',
        b'{"outcome":"completed","outputs":{},"effects":[7],"event":EVENT}',
        b'{"outcome":"dead","failure":"x","event":EVENT}',
        b'{"outcome":"dead","failure":null,"more":1,"event":EVENT}',
    ],
)
def test_a_line_that_cannot_be_read_is_named_by_its_number(bad: bytes):
    header, first, second = lines()
    event = second[second.index(b'"event":') + 8 : -1]

    with pytest.raises(InvalidCorpus, match="line 4: "):
        read_corpus([header, first, b"", bad.replace(b"EVENT", event), second])


@pytest.mark.parametrize("bad", [b"{}", b"nothing", b'{"playhead_corpus":2}', b'{"playhead_corpus":1}'])
def test_another_first_line_is_refused(bad: bytes):
    with pytest.raises(InvalidCorpus, match="line 1: "):
        read_corpus([bad, *lines()[1:]])
