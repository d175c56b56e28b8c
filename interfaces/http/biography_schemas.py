"""What OpenAPI says of a biography, read off its parts."""

from typing import Any

from pydantic import TypeAdapter

from application.ports.task_states import EventClaim
from application.use_cases.attempts import Attempt
from application.use_cases.biography import IndexEntry, ReplayOfEvent, SchemaReading
from application.use_cases.causation import Causation
from application.use_cases.dead_letters import Decision

_TEMPLATE = "#/components/schemas/{model}"
_PARTS = (Attempt, Causation, Decision, EventClaim, IndexEntry, ReplayOfEvent, SchemaReading)
_DEFINED = TypeAdapter.json_schemas(
    [(part, "serialization", TypeAdapter(part)) for part in _PARTS],
    ref_template=_TEMPLATE,
)[1]["$defs"]


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": _TEMPLATE.format(model=name)}


def _list(name: str) -> dict[str, Any]:
    return {"type": "array", "items": _ref(name)}


def _or_null(name: str) -> dict[str, Any]:
    return {"anyOf": [_ref(name), {"type": "null"}]}


_MEMBERS: dict[str, Any] = {
    "event": {"type": "object", "description": "The event as it is stored, its data to the letter."},
    "now": {"type": "string", "format": "date-time"},
    "origin": {"enum": ["request", "schedule", "pipeline"]},
    "task": {"type": "object"},
    "schema": _or_null("SchemaReading"),
    "claim": _or_null("EventClaim"),
    "attempts": _list("Attempt"),
    "decisions": _list("Decision"),
    "effects": _list("EffectLife"),
    "index": _ref("IndexEntry"),
    "replays": _list("ReplayOfEvent"),
    "causation": _ref("Causation"),
}
BIOGRAPHY_SCHEMAS: dict[str, Any] = {
    **_DEFINED,
    "Biography": {"type": "object", "required": list(_MEMBERS), "properties": _MEMBERS},
}
