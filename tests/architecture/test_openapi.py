"""The OpenAPI document: the committed one is today's, it is whole, and it has every route."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from application.effect_history import EffectStatus
from application.use_cases.effect_states import EffectState
from application.use_cases.tasks import CELERY_STATES
from domain.envelopes import Submission
from domain.events import RecordedEvent
from interfaces.http.errors import STATUS
from interfaces.http.openapi import document

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"
DOCUMENT = json.loads(document())
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def test_the_committed_document_is_todays():
    assert COMMITTED.read_text() == document(), (
        "The API has changed: python -m interfaces.http.openapi > docs/openapi.json"
    )


def test_it_is_openapi_3_1_with_every_operation_told_apart():
    assert DOCUMENT["openapi"].startswith("3.1")
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(ids) == len(set(ids))


def test_it_has_every_route():
    assert OPERATIONS.keys() == {
        "POST /events", "GET /events", "POST /events/batch", "GET /events/{event_id}",
        "GET /events/{event_id}/contexts", "GET /events/{event_id}/explain",
        "GET /tasks/{task_id}", "GET /search", "POST /search",
        "GET /dead-letters", "GET /dead-letters/groups",
        "GET /dead-letters/{event_id}", "POST /dead-letters/requeue", "POST /dead-letters/discard",
        "GET /effects", "GET /effects/{effect_id}", "POST /effects/{effect_id}/retry",
        "GET /replays", "POST /replays", "GET /replays/{replay_id}", "GET /replays/{replay_id}/diff",
        "POST /replays/{replay_id}/promote", "POST /replays/{replay_id}/rollback", "GET /replays/stale",
        "POST /replays/{replay_id}/pause", "POST /replays/{replay_id}/resume", "POST /replays/{replay_id}/abort",
        "GET /livez", "GET /readyz", "GET /metrics", "GET /problems/{code}",
    }  # fmt: skip


def test_every_reference_leads_to_a_schema_and_every_schema_is_referred_to():
    referred = {found["$ref"] for found in walk(DOCUMENT) if isinstance(found.get("$ref"), str)}

    assert referred == {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_is_described_and_every_error_is_a_problem(name: str):
    operation = OPERATIONS[name]
    for status, answer in operation["responses"].items():
        assert answer["description"]
        if status[0] in "45d" and name not in {"GET /readyz", "POST /events/batch"}:
            assert list(answer["content"]) == ["application/problem+json"]
    for parameter in operation.get("parameters", []):
        assert parameter["in"] in {"path", "query", "header"}
        assert parameter["in"] != "path" or parameter["required"]


def test_its_words_are_those_of_the_code():
    schemas = DOCUMENT["components"]["schemas"]

    assert set(schemas["Task"]["properties"]["state"]["enum"]) == set(CELERY_STATES.values())
    assert set(schemas["Task"]["properties"]["status"]["enum"]) == set(CELERY_STATES)
    assert set(schemas["Effect"]["properties"]) == set(EffectState.__dataclass_fields__)
    assert set(schemas["Effect"]["properties"]["status"]["enum"]) == set(get_args(EffectStatus))
    assert set(schemas["Event"]["properties"]) == {*RecordedEvent.__struct_fields__, "status"}
    plain = set(Submission.__struct_fields__) - {"key", "attributes"}
    assert set(schemas["NewEvent"]["properties"]) == plain
    statuses = {str(status) for status in STATUS.values()}
    documented = {status for operation in OPERATIONS.values() for status in operation["responses"]}
    assert statuses <= documented
