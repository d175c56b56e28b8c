"""Replay: stored events run again through today's pipelines, into a generation of its own; its code, how far it is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from application.ports.claims import Claims
from application.ports.context_log import ContextLog, ContextStatus
from application.ports.event_log import EventLog
from application.ports.promotions import Promotions
from application.ports.replays import Replay, Replays
from application.subscription import Subscription
from application.use_cases.comparing import Comparison, DryRun, compare, pairs
from domain.differences import Rules
from domain.errors import InvalidReplay, NotFound
from domain.registry import PipelineRegistry


def code_for(types: Iterable[str], registry: PipelineRegistry, fingerprints: Mapping[str, str]) -> Mapping[str, str]:
    """The fingerprint of each pipeline that runs events of these types today, by name."""
    used = {registry.pipeline_for(type_).name for type_ in types if type_ in registry.types}
    return {name: fingerprints[name] for name in sorted(used)}


def get_replay(replay_id: int, *, replays: Replays) -> Replay:
    """The replay of this id.

    Raises:
        NotFound: there is none.
    """
    replay = replays.get(replay_id)
    if replay is None:
        raise NotFound(f"There is no replay {replay_id}. `playhead replay plan` makes one.")
    return replay


def subscription_of(replay: Replay, *, batch: int = 1, lease: float = 1.0) -> Subscription:
    """The subscription that works a replay. The defaults do for whoever looks at it and claims nothing."""
    positions = replay.selection.positions
    last = positions[-1] if positions else replay.selection.last
    selection = replace(replay.selection, last=last)
    return Subscription(name=f"replay-{replay.id}", log="events", selection=selection, batch=batch, lease=lease)


def require_same_code(
    replay: Replay, *, events: EventLog, registry: PipelineRegistry, fingerprints: Mapping[str, str]
) -> None:
    """Refuse to run a replay with other code than it was planned for.

    Raises:
        InvalidReplay: names the pipelines that changed.
    """
    changed = _changed(replay, events=events, registry=registry, fingerprints=fingerprints)
    if changed:
        raise InvalidReplay(
            f"Replay {replay.id} was planned for other code of {', '.join(changed)}. Plan it again, or run it with the "
            "code of the plan."
        )


def compare_replay(
    replay: Replay,
    rules: Rules,
    *,
    events: EventLog,
    contexts: ContextLog,
    registry: PipelineRegistry,
    fingerprints: Mapping[str, str],
    dry_run: DryRun,
    promotions: Promotions,
) -> Comparison:
    """Compare a replay with the results that hold without it; noise is sought where the code here is the replay's."""
    same_code = not _changed(replay, events=events, registry=registry, fingerprints=fingerprints)
    return compare(
        replay.id,
        contexts=contexts,
        events=events,
        view=promotions.current(),
        rules=rules,
        dry_run=dry_run if same_code else None,
    )


def _changed(
    replay: Replay, *, events: EventLog, registry: PipelineRegistry, fingerprints: Mapping[str, str]
) -> list[str]:
    planned, today = replay.fingerprints, code_for(events.count(replay.selection), registry, fingerprints)
    return [name for name in sorted({*planned, *today}) if planned.get(name) != today.get(name)]


def is_done(subscription: Subscription, *, claims: Claims) -> bool:
    """Whether every selected event has ended; claims on later ones, of a run that goes further, do not count."""
    name, last = subscription.name, subscription.selection.last
    backlog = claims.backlog([name]).get(name)
    if backlog is None:
        return False
    end = backlog.head if last is None else min(last, backlog.head)
    if backlog.cursor < end:
        return False
    return backlog.claims == 0 or all(first > end for first, _ in claims.ranges(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayStatus:
    """How far a replay is, and how its results compare by digest with those that hold without it.

    `without_live`: results of events that have no completed context of the same pipeline otherwise.
    """

    replay: Replay
    done: bool
    contexts: Sequence[tuple[str, ContextStatus, int]]
    identical: int
    different: int
    without_live: int


def replay_status(replay: Replay, *, claims: Claims, contexts: ContextLog, promotions: Promotions) -> ReplayStatus:
    """How far a replay is."""
    counts = {"identical": 0, "different": 0, "without_live": 0}
    for pair in pairs(contexts, replay.id, promotions.current()):
        if pair.new.status == "completed":
            counts[pair.verdict] += 1
    return ReplayStatus(
        replay=replay,
        done=is_done(subscription_of(replay), claims=claims),
        contexts=contexts.summary(replay.id),
        **counts,
    )
