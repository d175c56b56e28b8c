"""Backlogs: how many events wait, by pipeline; a route that no process has loaded is seen here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from application.ports.claims import Claims
from application.ports.event_log import EventLog
from application.subscription import of_pipeline
from application.use_cases.results import INDEX
from domain.registry import PipelineRegistry

FOLLOW_UPS = "follow-ups"
"""The name of the subscription that appends follow-up events."""


def is_idle(*, claims: Claims) -> bool:
    """Whether no registered subscription but replays and seals has anything to do: all events ended, are indexed.

    A context is appended before what follows from it, and by the completion of its claim; so with no claim left and
    every cursor at its head, nothing is on its way.
    """
    names = [name for name in claims.subscriptions() if not name.startswith(("replay-", "seal-"))]
    return all(backlog.cursor == backlog.head and not backlog.claims for backlog in claims.backlog(names).values())


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineBacklog:
    """What a pipeline has still to do: events behind its cursor, and positions that claims cover.

    `loaded` is whether this process has the pipeline; a backlog that no process has loaded waits for a deploy.
    """

    pipeline: str
    loaded: bool
    waiting: int
    claimed: int


def pipeline_backlogs(*, claims: Claims, events: EventLog, registry: PipelineRegistry) -> Sequence[PipelineBacklog]:
    """The backlog of every pipeline that any process ever registered, by name."""
    names = [name for name in claims.subscriptions() if name not in {INDEX, FOLLOW_UPS} and "-" not in name]
    found = []
    for name, backlog in sorted(claims.backlog(names).items()):
        behind = replace(of_pipeline(name).selection, after=backlog.cursor)
        waiting = sum(events.count(behind).values()) if backlog.cursor < backlog.head else 0
        found.append(PipelineBacklog(pipeline=name, loaded=name in registry, waiting=waiting, claimed=backlog.claimed))
    return found
