"""Replays run to their end as `playhead replay run` does it, without its processes."""

from typing import Any

from application.auditor import Auditor
from application.ports.replays import Replay
from application.use_cases.replay import subscription_of
from application.use_cases.replay_run import Conditions, EndedEvents, Pace, ReplayRun, run_replay
from application.use_cases.replaying import Begun, RunReplay, begin_replay, bounded
from domain.registry import PipelineRegistry
from infrastructure.container import Container
from tests.unit.engines import engine_of


def run_through(container: Container, replay_id: int) -> str:
    """Run a replay with the ports of a container; how it ended."""
    begun = container.begin_replay()(RunReplay(replay_id=replay_id), auditor=container.auditor())
    return run_replay(container.replay_run(begun.replay))


def memory_begin(store: Any, command: RunReplay, registry: PipelineRegistry, auditor: Auditor) -> Begun:
    """Begin a replay where nobody is known to be dead."""
    return begin_replay(
        command,
        batch=3,
        lease=30,
        replays=store.replays,
        claims=store.claims,
        events=store.events,
        codes=store.codes,
        registry=registry,
        fingerprints=registry.fingerprints,
        auditor=auditor,
        is_dead=lambda _: False,
    )


def memory_run(
    store: Any, replay: Replay, processor: Any, *, batch: int = 3, last: int | None = None, **how: Any
) -> ReplayRun:
    """What a process runs a replay with; `how` goes to its conditions."""
    subscription = bounded(subscription_of(replay, batch=batch, lease=30), last)
    store.claims.register([subscription])
    pace = how.pop("pace", None) or Pace(one_by_one=how.get("max_failures") is not None)
    engine = engine_of(store, pace.counted(processor.process), subscription)
    conditions = Conditions(
        replay=replay,
        subscription=subscription,
        live=how.pop("live", ()),
        effects=(),
        replays=store.replays,
        claims=store.claims,
        contexts=store.contexts,
        ended=EndedEvents(replay, claims=store.claims, events=store.events),
        **how,
    )
    return ReplayRun(engine=engine, conditions=conditions, pace=pace)
