"""Words: how text is cut."""

import pytest

from infrastructure.search.words import indexed_text, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("!?", []),
        ("Snow, then RAIN", ["snow", "then", "rain"]),
        ("on_time N14228", ["on_time", "n14228"]),
        ("O'Hare's 'quoted' end.", ["o'hare's", "quoted", "end"]),
        ("O\u2019Hare", ["o\u2019hare"]),
        ("3.14, 1,000 v1.2 .5", ["3.14", "1,000", "v1.2", "5"]),
        ("example.com/path", ["example.com", "path"]),
        ("Größe ÉTÉ", ["größe", "été"]),
        ("e\u0301te\u0301", ["été"]),
        ("東京tower", ["東", "京", "tower"]),
        ("Москва", ["москва"]),
        ("a¶b", ["a", "b"]),
        ("x" * 250, ["x" * 100, "x" * 100, "x" * 50]),
    ],
)
def test_a_text_has_these_words(text, expected):
    assert words(text) == expected


def test_what_is_indexed_is_cut_into_the_same_words_again():
    texts = ["Snow, then RAIN", "東京tower O'Hare", "¶ 3.14"]
    pieces = [piece for piece in indexed_text(texts).split(" ") if piece != "¶"]
    assert pieces == [word for text in texts for word in words(text)]
    assert [word for piece in pieces for word in words(piece)] == pieces
