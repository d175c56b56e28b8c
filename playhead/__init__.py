"""Playhead's public face: what a user's package may import. Everything else may move.

    from playhead import Pipeline, TaskContext, node

A pipeline is found through the entry point group `playhead.pipelines`, or `PIPELINES=module,module`.
`playhead.testing` runs one without broker, database or network.
"""

from domain.context import TaskContext
from domain.effects import Email, EmitEvent, HttpCall, IndexDocument
from domain.errors import PermanentError, TransientError
from domain.events import RecordedEvent
from domain.nodes import Branches, ElasticsearchIndexNode, Route
from domain.pipeline import Node, Pipeline, node
from domain.registry import PipelineRegistry
from domain.retry import Retry
from domain.schedule import Schedule
from domain.upcasting import Schema

__all__ = [
    "Branches",
    "ElasticsearchIndexNode",
    "Email",
    "EmitEvent",
    "HttpCall",
    "IndexDocument",
    "Node",
    "PermanentError",
    "Pipeline",
    "PipelineRegistry",
    "RecordedEvent",
    "Retry",
    "Route",
    "Schedule",
    "Schema",
    "TaskContext",
    "TransientError",
    "node",
]
