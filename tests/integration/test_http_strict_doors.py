"""Strict doors: the same answer on both databases, exact text kept, no input that ends in an inner error."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.http import JSON, NDJSON, STRUCTURED, Http, problem, served

KEPT = {
    "400 digits": "1" * 400,
    "2^64": "18446744073709551616",
    "a small number": "1e-400",
    "minus nought": "-0",
    "an exponent": "1E+308",
    "NUL": '"a\\u0000b"',
    "NUL in a name": '{"\\u0000":1}',
    "a pair of surrogates": '"\\ud83d\\ude00"',
    "line separators": '"\u2028\u2029\x7f"',
    "64 levels": '{"a":' * 64 + "1" + "}" * 64,
    "names in their order": '{"b":1,  "a":[ 1.10 , 2]}',
}
REFUSED = {
    "401 digits": "1" * 401,
    "401 digits behind the point": "1." + "1" * 401,
    "401 digits of an exponent": "1e" + "0" * 401 + "1",
    "too large": "1e309",
    "a name twice, once escaped": '{"a":1,"\\u0061":2}',
    "65 levels": '{"a":' * 65 + "1" + "}" * 65,
    "a raw NUL": '"a\0b"',
    "a lone surrogate": '"\\udfff"',
    "a mark inside": "\ufeff1",
    "a leading nought": "01",
    "a plus": "+1",
    "a comment": "1/**/",
}
CONTROL = {"NUL": ("\\u0000", "%00"), "a line end": ("\\n", "%0A"), "delete": ("\\u007f", "%7F")}


@pytest.fixture
def http(database_url: str, tmp_path: Path) -> Iterator[Http]:
    with served(database_url, tmp_path, unknown_types="keep") as found:
        yield found


@pytest.mark.parametrize("data", KEPT.values(), ids=KEPT)
def test_good_data_is_kept_to_the_letter(http: Http, data: str):
    posted = http.post(f'{{"type":"kept","data":{data}}}')

    assert posted.status_code == 202
    assert http.get(posted.headers["location"]).text.endswith(f'"data":{data}}}')
    assert http.batch(f'{{"type":"kept","data":{data}}}', NDJSON).status_code == 202
    assert http.get("/events").status_code == 200


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_bad_data_is_refused_at_each_door(http: Http, data: str):
    plain, cloud = f'{{"type":"kept","data":{data}}}', f'"type":"kept","data":{data}}}'
    assert http.post(plain).status_code == 400
    assert http.post('{"specversion":"1.0","id":"1","source":"s",' + cloud, STRUCTURED).status_code == 400
    binary = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "kept"}
    assert http.post(data, binary).status_code == 400
    assert http.batch(plain, NDJSON).json()["items"][0]["status"] == 400
    assert http.stored() == 0


@pytest.mark.parametrize("place", ["type", "source", "subject", "id"])
@pytest.mark.parametrize(("escaped", "encoded"), CONTROL.values(), ids=CONTROL)
def test_a_control_character_beside_the_data_is_422(http: Http, place: str, escaped: str, encoded: str):
    members = {"specversion": "1.0", "id": "1", "source": "s", "type": "kept", "data": "1"}
    text = ",".join(f'"{name}":"{value}"' for name, value in {**members, place: f"a{escaped}"}.items())
    structured = http.post(f"{{{text}}}", STRUCTURED)
    binary = {f"ce-{name}": value for name, value in members.items() if name != "data"}
    for answer in (structured, http.post("1", {**binary, f"ce-{place}": f"a{encoded}"})):
        assert (answer.status_code, problem(answer)["type"]) == (422, "/problems/invalid-event")
    assert http.stored() == 0


@pytest.mark.parametrize(
    "path", ["/events/%00", "/events/%00/contexts", "/tasks/%00", "/dead-letters/%00", "/problems/%00"]
)
def test_an_id_with_a_nul_names_nothing(http: Http, path: str):
    assert http.get(path).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/dead-letters/requeue", {"filter": {"type": "\0"}, "count": 0}, 400),
        ("/dead-letters/discard", {"filter": {"pipeline": "a\0"}, "count": 0, "reason": "x"}, 400),
        ("/dead-letters/requeue", {"filter": {"failure": "\0"}, "count": 0}, 400),
        ("/dead-letters/requeue", {"ids": ["\0"]}, 404),
        ("/dead-letters/requeue", {"filter": {}, "count": 10**30}, 409),
        ("/dead-letters/discard", {"filter": {}, "count": 0, "reason": "a\0b"}, 400),
        ("/search", {"q": "\0"}, 400),
        ("/search", {"filters": {"type": "\0"}}, 200),
        ("/search", {"filters": {"\0": "x"}}, 400),
        ("/search", {"sort": "\0"}, 400),
        ("/search", {"cursor": "\0"}, 400),
        ("/search", {"aggs": {"a": {"kind": "terms", "field": "\0"}}}, 400),
        ("/search", {"q": "(" * 5_000}, 400),
    ],
)
def test_what_is_asked_beside_events_is_as_strict(http: Http, path: str, body: dict[str, Any], status: int):
    http.container.indexer().open()
    assert http.post(body, JSON, path=path).status_code == status
