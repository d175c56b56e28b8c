"""Masking: every secret of the settings, in every spelling, wherever it stands; and what is none stays readable."""

import pytest

from infrastructure.masking import MASK, mask_patterns
from infrastructure.settings import Settings

KEY = "ph_0123456789_" + "Ab-_" * 10 + "xyz"


def settings_of(**values: str) -> Settings:
    defaults = {"database_url": "postgresql+psycopg://u:s3cret-of-db@h/name"}
    return Settings(_env_file=None, **{**defaults, **values})


@pytest.mark.parametrize(
    ("settings", "secrets"),
    [
        ({"database_url": "postgresql+psycopg://user:s3cret-of-db@host:5432/name"}, ["s3cret-of-db"]),
        ({"database_url": "postgresql://user:p%40ss%2Fword@host/name"}, ["p%40ss%2Fword", "p@ss/word"]),
        ({"database_url": "postgresql://host/name?password=in-query&sslpassword=of-key"}, ["in-query", "of-key"]),
        ({"celery_broker_url": "redis://:only-a-password@host:6379/0"}, ["only-a-password"]),
        ({"celery_broker_url": "sentinel://:first-one@a:1;sentinel://:second-one@b:2"}, ["first-one", "second-one"]),
        ({"celery_broker_url": "amqp://user:wîth-àccents@host//"}, ["wîth-àccents", "w\\u00eeth-\\u00e0ccents"]),
        ({"celery_result_backend": "redis://:has@an-at-sign@host/0"}, ["has@an-at-sign"]),
        ({"elasticsearch_url": "https://elastic:of-search@host:9200"}, ["of-search"]),
        ({"playhead_api_key": KEY}, [KEY, KEY.split("_", 2)[2]]),
    ],
)  # fmt: skip
def test_a_secret_of_the_settings_is_covered_wherever_it_stands(settings: dict[str, str], secrets: list[str]):
    found = settings_of(**settings)
    mask = found.mask()
    for secret in secrets:
        for text in (secret, f"auth failed for {secret}!", f'{{"a":"{secret}"}}', f"x{secret}y", f"x://u:{secret}@h"):
            assert secret not in mask(text)
            assert MASK in mask(text)
        assert secret not in repr(found)
        assert secret not in str(found.masked())


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("redis://:pw@h/0 and amqp://u:p@h//", "redis://:***@h/0 and amqp://u:***@h//"),
        ("https://u:p@ss@h/x", "https://u:***@h/x"),
        ("at http://h:9200/a@b", "at http://h:9200/a@b"),
        ("mail to somebody@example.org", "mail to somebody@example.org"),
        ("host=h password=hunter2 user=u", "host=h password=*** user=u"),
        ("?a=1&api_key=abc&b=2", "?a=1&api_key=***&b=2"),
        ("Authorization: Bearer abcdefghij", "Authorization: Bearer ***"),
        (f"key {KEY}, again {KEY[:-1]}", "key ph_0123456789_***, again ph_0123456789_***"),
        ("ph_0123456789_short", "ph_0123456789_short"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_what_looks_like_credentials_is_covered_also_where_it_is_not_known(text: str, masked: str):
    assert mask_patterns(text) == masked


def test_a_password_that_is_a_word_of_the_urls_leaves_other_text_readable():
    mask = settings_of(database_url="postgresql://playhead:playhead@postgres/playhead").mask()

    assert mask("playhead on postgres") == "playhead on postgres"
    assert mask("postgresql://playhead:playhead@postgres/playhead") == "postgresql://playhead:***@postgres/playhead"


def test_a_short_password_is_covered_in_urls_alone():
    mask = settings_of(database_url="postgresql://user:a@host/name").mask()

    assert mask("a database at postgresql://user:a@host") == "a database at postgresql://user:***@host"


def test_an_empty_secret_is_shown_as_empty():
    assert settings_of().masked()["PLAYHEAD_API_KEY"] == ""
