"""What OpenAPI says of the routes that read raw bodies and answer exact text."""

from typing import Any

from pydantic.json_schema import models_json_schema

from interfaces.http.biography_schemas import BIOGRAPHY_SCHEMAS
from interfaces.http.dead_letter_models import ChosenBody, DiscardBody
from interfaces.http.effect_schemas import EFFECT_SCHEMAS
from interfaces.http.replay_models import PlanBody
from interfaces.http.search_models import SearchBody


def ref(name: str) -> dict[str, Any]:
    """A schema of `COMPONENTS`."""
    return {"$ref": f"#/components/schemas/{name}"}


_STATUS = {"enum": ["queued", "running", "retrying", "succeeded", "failed", "discarded", "unrouted", "open"]}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "current_version": {"type": "integer"},
        "count": {"type": "integer"},
        "retry_after": {"type": "integer"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "message"],
                "properties": {name: {"type": "string"} for name in ("pointer", "code", "message")},
            },
        },
    },
}
_PLAIN_EVENT = {
    "type": "object",
    "required": ["type", "data"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "pattern": "^[ -~]{1,200}$"},
        "source": {"type": "string", "maxLength": 512},
        "subject": {"type": "string", "maxLength": 512},
        "time": {"type": "string", "format": "date-time"},
        "not_before": {"type": "string", "format": "date-time"},
        "expected_version": {"type": "integer", "minimum": 0},
        "data": {},
    },
}
_CLOUD_EVENT = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1},
        "type": {"type": "string", "minLength": 1},
        "subject": {"type": "string", "minLength": 1},
        "time": {"type": "string", "format": "date-time"},
        "data": {},
    },
}
_ACCEPTED = {
    "type": "object",
    "required": ["event_id", "task_id", "message", "links"],
    "properties": {
        "event_id": {"type": "string", "format": "uuid"},
        "task_id": {"type": "string", "format": "uuid"},
        "message": {"type": "string"},
        "links": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_TASK = {
    "type": "object",
    "required": ["task_id", "state", "status", "ready", "links"],
    "properties": {
        "task_id": {"type": "string", "format": "uuid"},
        "state": {"enum": ["PENDING", "PROGRESS", "SUCCESS", "FAILURE", "RETRY"]},
        "status": _STATUS,
        "pipeline": {"type": ["string", "null"]},
        "meta": {"type": ["object", "null"]},
        "result": {"type": ["object", "null"]},
        "due_at": {"type": ["string", "null"], "format": "date-time"},
        "generation": {"type": ["integer", "null"]},
        "ready": {"type": "boolean"},
        "links": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_ITEMS = {
    "type": "object",
    "required": ["items"],
    "properties": {
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "status"],
                "properties": {
                    "index": {"type": "integer"},
                    "status": {"type": "integer"},
                    "event_id": {"type": "string", "format": "uuid"},
                    "repeated": {"const": True},
                    "problem": ref("Problem"),
                },
            },
        }
    },
}
_RECORDED_EVENT = {
    "type": "object",
    "required": ["status", "position", "id", "type", "source", "subject", "time", "recorded_at", "data"],
    "properties": {
        "status": _STATUS,
        "position": {"type": "integer", "minimum": 1},
        "id": {"type": "string", "format": "uuid"},
        "type": {"type": "string"},
        "source": {"type": "string"},
        "subject": {"type": "string"},
        "time": {"type": "string", "format": "date-time"},
        "recorded_at": {"type": "string", "format": "date-time"},
        "route": {"type": ["string", "null"]},
        "lane": {"type": "integer"},
        "key": {"type": ["string", "null"]},
        "schema_version": {"type": "integer"},
        "cause": {"type": ["string", "null"], "format": "uuid"},
        "depth": {"type": "integer"},
        "attributes": {"type": "object"},
        "data": {},
    },
}
_READ = models_json_schema(
    [(model, "validation") for model in (SearchBody, ChosenBody, DiscardBody, PlanBody)],
    ref_template=ref("{model}")["$ref"],
)[1]["$defs"]
COMPONENTS: dict[str, Any] = {
    "Problem": _PROBLEM,
    "NewEvent": _PLAIN_EVENT,
    "CloudEvent": _CLOUD_EVENT,
    "Accepted": _ACCEPTED,
    "Task": _TASK,
    "Outcomes": _ITEMS,
    "Event": _RECORDED_EVENT,
    **_READ,
    **EFFECT_SCHEMAS,
    **BIOGRAPHY_SCHEMAS,
}
_PROBLEMS = {
    400: "Not strict JSON, or a parameter that cannot be understood.",
    404: "There is nothing of this id.",
    408: "The body did not come in time.",
    409: "Otherwise than the request says (a subject's last event, the count of dead letters), or busy now.",
    413: "Larger than the limit.",
    415: "Not a content type that is read here.",
    422: "Refused: an event's shape, its type, its key; of a batch, the key, or all of it with `atomic=true`.",
    429: "More events of this pipeline wait, or streams are open, than may; try again after `Retry-After` seconds.",
    503: "A store cannot be reached now; try again after `Retry-After` seconds.",
}
_GOOD = {
    200: "What was asked for; of an event that was waited for, its task.",
    202: "Stored for ever; the task is queued.",
    207: "Some events were stored, some were not: each item says.",
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    "description": "Makes a repeat harmless, for ever. On a batch the key of item n is `key/n`.",
}
_PREFER = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "`wait=N`: answer 200 with the task once it has ended, else 202 after N seconds (at most 30).",
}


def _answers(*problems: int, **schemas: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """The responses of a route: `ok`-statuses by `_NNN` names, and the problems it may answer with."""
    good: dict[int | str, dict[str, Any]] = {
        int(name[1:]): {
            "description": _GOOD.get(int(name[1:]), ""),
            "content": {"application/json": {"schema": schema}},
        }
        for name, schema in schemas.items()
    }
    bad: dict[int | str, dict[str, Any]] = {
        status: {"description": _PROBLEMS[status], "content": {"application/problem+json": {"schema": ref("Problem")}}}
        for status in problems
    }
    # FastAPI adds an answer of its own (422, in its own shape) wherever there is no `default`.
    other = {"description": "Any other problem.", "content": {"application/problem+json": {"schema": ref("Problem")}}}
    for status in good.keys() & bad.keys():
        bad[status]["content"] |= good[status]["content"]
    return {**good, **bad, "default": other}


def _body(**types: dict[str, Any]) -> dict[str, Any]:
    media = {"json": "application/json", "cloudevent": "application/cloudevents+json", "ndjson": "application/x-ndjson"}
    media["cloudevents"] = "application/cloudevents-batch+json"
    return {"required": True, "content": {media[name]: {"schema": schema} for name, schema in types.items()}}


def _array(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


_WHOLE_CONTEXTS = {"type": "object", "required": ["contexts"], "properties": {"contexts": _array({"type": "object"})}}
_PAGE = {
    "type": "object",
    "required": ["events", "next"],
    "properties": {"events": _array(ref("Event")), "next": {"type": ["string", "null"]}},
}

_LINKS = {
    "event": {
        "operationId": "get_event_events__event_id__get",
        "parameters": {"event_id": "$response.body#/event_id"},
        "description": "The event, with its status.",
    },
    "contexts": {
        "operationId": "get_contexts_events__event_id__contexts_get",
        "parameters": {"event_id": "$response.body#/event_id"},
        "description": "What was made of it.",
    },
    "task": {
        "operationId": "read_task_tasks__task_id__get",
        "parameters": {"task_id": "$response.body#/task_id"},
        "description": "How far it is.",
    },
    "biography": {
        "operationId": "explain_events__event_id__explain_get",
        "parameters": {"event_id": "$response.body#/event_id"},
        "description": "What became of it, step by step.",
    },
    "dead letter": {
        "operationId": "get_dead_letter_dead_letters__event_id__get",
        "parameters": {"event_id": "$response.body#/event_id"},
        "description": "Why it failed, where it did.",
    },
}
"""Where to go on from an accepted event."""


def _linked(responses: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    return {**responses, 202: {**responses[202], "links": _LINKS}}


SUBMIT: dict[str, Any] = {
    "responses": _linked(_answers(400, 408, 409, 413, 415, 422, 429, 503, _202=ref("Accepted"), _200=ref("Task"))),
    "openapi_extra": {
        "parameters": [_KEY, _PREFER],
        "requestBody": _body(json=ref("NewEvent"), cloudevent=ref("CloudEvent")),
    },
}
BATCH: dict[str, Any] = {
    "responses": _answers(
        400, 408, 413, 415, 422, 429, 503, _202=ref("Outcomes"), _207=ref("Outcomes"), _422=ref("Outcomes")
    ),
    "openapi_extra": {
        "parameters": [_KEY],
        "requestBody": _body(
            json=_array(ref("NewEvent")), ndjson={"type": "string"}, cloudevents=_array(ref("CloudEvent"))
        ),
    },
}
EVENTS: dict[str, Any] = {"responses": _answers(400, 429, 503, _200=_PAGE)}
EVENTS["responses"][200]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
EVENTS["responses"][200]["headers"] = {
    "Playhead-Log-Id": {
        "description": "With `after`, and of a stream: the log's id. Another one tells of a restore.",
        "schema": {"type": "string", "format": "uuid"},
    }
}
EVENT: dict[str, Any] = {"responses": _answers(404, 503, _200=ref("Event"))}
CONTEXTS: dict[str, Any] = {"responses": _answers(400, 404, 503, _200=_WHOLE_CONTEXTS)}
EXPLAIN: dict[str, Any] = {"responses": _answers(404, 503, _200=ref("Biography"))}
TASK_ROUTE: dict[str, Any] = {"responses": _answers(400, 404, 503, _200=ref("Task"))}
EFFECTS: dict[str, Any] = {"responses": _answers(400, 503, _200=ref("Effects"))}
EFFECT: dict[str, Any] = {"responses": _answers(404, 503, _200=ref("EffectLife"))}
RETRY_EFFECT: dict[str, Any] = {"responses": _answers(404, 409, 503, _200=ref("EffectRetried"))}
SEARCH: dict[str, Any] = {"responses": _answers(400, 503)}
POST_SEARCH: dict[str, Any] = {
    "responses": _answers(400, 408, 413, 415, 503),
    "openapi_extra": {"requestBody": _body(json=ref("SearchBody"))},
}
DEAD_LETTERS: dict[str, Any] = {"responses": _answers(400, 503)}
GROUPS: dict[str, Any] = {"responses": _answers(400, 503)}
DEAD_LETTER: dict[str, Any] = {"responses": _answers(404, 503)}
REQUEUE: dict[str, Any] = {
    "responses": _answers(400, 404, 408, 409, 413, 415, 503),
    "openapi_extra": {"requestBody": _body(json=ref("ChosenBody"))},
}
DISCARD: dict[str, Any] = {
    "responses": _answers(400, 404, 408, 409, 413, 415, 503),
    "openapi_extra": {"requestBody": _body(json=ref("DiscardBody"))},
}
REPLAYS: dict[str, Any] = {"responses": _answers(503)}
REPLAY: dict[str, Any] = {"responses": _answers(400, 404, 503)}
PROMOTION: dict[str, Any] = {"responses": _answers(400, 404, 409, 503)}
CHANGE_REPLAY: dict[str, Any] = {"responses": _answers(400, 404, 503)}
STALE: dict[str, Any] = {"responses": _answers(503)}
COMPARISON: dict[str, Any] = {"responses": _answers(400, 404, 503)}
PLAN: dict[str, Any] = {
    "responses": _answers(400, 404, 408, 413, 415, 503),
    "openapi_extra": {"requestBody": _body(json=ref("PlanBody"))},
}
LIVEZ: dict[str, Any] = {"responses": _answers(503)}
PROBLEM_PAGE: dict[str, Any] = {"responses": _answers(404)}
