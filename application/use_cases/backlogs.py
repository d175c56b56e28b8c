"""Backlogs: how many events wait, by pipeline; a route that no process has loaded is seen here."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.claims import Claims
from application.ports.event_log import EventLog
from application.subscription import Selection
from domain.registry import PipelineRegistry

FOLLOW_UPS = "follow-ups"
"""The name of the subscription that appends follow-up events."""


def is_idle(*, claims: Claims) -> bool:
    """Whether no registered subscription but replays, seals and builds has work: all events ended, are indexed.

    A context is appended before what follows from it, and by the completion of its claim; so with no claim left and
    every cursor at its head, nothing is on its way.
    """
    names = [name for name in claims.subscriptions() if not name.startswith(("replay-", "seal-", "index-"))]
    return all(backlog.cursor == backlog.head and not backlog.claims for backlog in claims.backlog(names).values())


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineBacklog:
    """What a pipeline has still to do: events behind its cursor, and positions that claims cover.

    `loaded` is whether this process has the pipeline; a backlog that no process has loaded waits for a deploy. A lane
    is a row of its own. `paused` by an operator, or `held` by the dead letter at that position, it does not go on.
    """

    pipeline: str
    subscription: str
    loaded: bool
    waiting: int
    claimed: int
    paused: bool
    held: int | None


def pipeline_backlogs(*, claims: Claims, events: EventLog, registry: PipelineRegistry) -> Sequence[PipelineBacklog]:
    """The backlog of every pipeline that any process ever registered, by name."""
    found = []
    for name, backlog in sorted(claims.backlog(claims.subscriptions()).items()):
        if backlog.route is None:
            continue
        selection = Selection(where={"route": backlog.route, "direct": False}, after=backlog.cursor, lane=backlog.lane)
        found.append(
            PipelineBacklog(
                pipeline=backlog.route,
                subscription=name,
                loaded=backlog.route in registry,
                waiting=sum(events.count(selection).values()) if backlog.cursor < backlog.head else 0,
                claimed=backlog.claimed,
                paused=backlog.paused,
                held=backlog.held,
            )
        )
    return found
