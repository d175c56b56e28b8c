"""What OpenAPI says of effects."""

from typing import Any

_REF = {"$ref": "#/components/schemas/Effect"}
_EFFECT = {
    "type": "object",
    "required": ["effect_id", "event_id", "kind", "target", "status", "attempts"],
    "properties": {
        "effect_id": {"type": "string", "format": "uuid"},
        "event_id": {"type": "string", "format": "uuid"},
        "context_position": {"type": "integer", "minimum": 1},
        "kind": {"enum": ["http_call", "email"]},
        "target": {"type": "string"},
        "status": {"enum": ["pending", "failed", "unknown", "done", "dead"]},
        "attempts": {"type": "integer"},
        "due_at": {"type": ["string", "null"], "format": "date-time"},
        "changed_at": {"type": ["string", "null"], "format": "date-time"},
        "detail": {"type": "object"},
    },
}
EFFECT_SCHEMAS: dict[str, Any] = {
    "Effect": _EFFECT,
    "Effects": {
        "type": "object",
        "required": ["effects"],
        "properties": {"effects": {"type": "array", "items": _REF}},
    },
    "EffectLife": {
        "type": "object",
        "required": ["state", "steps"],
        "properties": {"state": _REF, "steps": {"type": "array", "items": {"type": "object"}}},
    },
    "EffectRetried": {
        "type": "object",
        "required": ["state", "changed"],
        "properties": {"state": _REF, "changed": {"type": "boolean"}},
    },
}
