"""Engines: the subscriptions of a process, what it does with the rows of each, and the engines that do so.

The container calls these with its adapters.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial

from application.engine import Engine, Handler, Loader, Work
from application.heart import Heart
from application.ports.anchor import Anchor
from application.ports.caller import Caller
from application.ports.claims import Claims
from application.ports.context_log import ContextLog
from application.ports.dispatcher import Dispatcher, Silence
from application.ports.event_log import EventLog
from application.ports.limits import Limits
from application.ports.replays import Replay
from application.subscription import Selection, Subscription
from application.subscription import subscriptions_of as subscriptions_of_pipeline
from application.use_cases.backlogs import FOLLOW_UPS
from application.use_cases.comparing import DryRun
from application.use_cases.effect_states import DECLARES_CALLS
from application.use_cases.effects import EFFECTS, carry_out
from application.use_cases.follow_ups import append_follow_ups
from application.use_cases.processing import Processor
from application.use_cases.replay import subscription_of
from application.use_cases.replay_run import YIELD_ABOVE, Conditions, EndedEvents, MaxFailures, Pace, ReplayRun
from application.use_cases.replaying import Effects, bounded, effects_of
from application.use_cases.results import INDEX, Indexer
from application.use_cases.sealing import SEALING, places, seal_rows
from domain.registry import PipelineRegistry
from domain.retry import NO_END, Retry
from domain.seals import MAX_ROWS
from infrastructure.journal import LogJournal
from infrastructure.processes import owner_name, process_name
from infrastructure.settings import Settings
from infrastructure.sql.store import SqlStore

NOT_LIVE = -1
"""A generation that no context ever has."""
UNTIL_IT_SUCCEEDS = Retry(attempts=NO_END, base=0.5, cap=15.0)


def subscriptions_of(registry: PipelineRegistry, settings: Settings) -> dict[str, Subscription]:
    """Every subscription of a process, by its name: the pipelines', and those that follow the logs for the service."""
    batch, lease = settings.claim_batch, settings.lease_seconds
    on_contexts = (
        (FOLLOW_UPS, {"emits": True, "generation": 0}, batch, UNTIL_IT_SUCCEEDS),
        # Of all generations: those of a view are chosen when a claim is loaded.
        (INDEX, {"status": "completed"}, batch, UNTIL_IT_SUCCEEDS),
        # The schedule of calls is the handler's; this is for what keeps it from its ledger.
        (EFFECTS, DECLARES_CALLS, 1, UNTIL_IT_SUCCEEDS),
    )
    subscriptions = [
        *(each for pipeline in registry for each in subscriptions_of_pipeline(pipeline, batch=batch, lease=lease)),
        *(
            Subscription(
                name=name, log="task_contexts", selection=Selection(where=where), batch=size, lease=lease, retry=retry
            )
            for name, where, size, retry in on_contexts
        ),
        *(
            Subscription(
                name=name,
                log=log,
                batch=MAX_ROWS,
                lease=lease,
                retry=UNTIL_IT_SUCCEEDS,
                in_order=True,
                background=True,
            )
            for name, log in SEALING.items()
        ),
    ]
    return {subscription.name: subscription for subscription in subscriptions}


def works_of(
    subscriptions: Mapping[str, Subscription],
    *,
    registry: PipelineRegistry,
    settings: Settings,
    store: SqlStore,
    dispatcher: Dispatcher,
    indexer: Indexer,
    callers: Mapping[str, Caller],
    anchor: Anchor | None,
    journal: LogJournal,
) -> dict[str, Work]:
    """What is done with the rows of each of these subscriptions, by its name."""
    processor = Processor(registry, unknown_types=settings.unknown_types, mask=settings.mask())
    follow_ups, effects = _world(registry, settings, store, dispatcher, callers)
    handlers: dict[str, Handler] = {
        FOLLOW_UPS: follow_ups,
        INDEX: indexer.index_contexts,
        EFFECTS: effects,
        **{
            name: partial(seal_rows, log=log, seals=store.seals, anchor=anchor, journal=journal)
            for name, log in SEALING.items()
        },
    }
    loaders: dict[str, Loader] = {INDEX: indexer.load, **dict.fromkeys(SEALING, places)}
    return {
        name: Work(
            subscription=subscription,
            load=loaders.get(name) or _loader(store, subscription),
            handle=handlers.get(name, processor.process),
            begin=indexer.begin if name == INDEX else None,
        )
        for name, subscription in subscriptions.items()
    }


def _world(
    registry: PipelineRegistry,
    settings: Settings,
    store: SqlStore,
    dispatcher: Dispatcher,
    callers: Mapping[str, Caller],
) -> tuple[Handler, Handler]:
    """What carries out that contexts declare: follow-up events, and calls."""
    return (
        partial(append_follow_ups, registry=registry, events=store.events, dispatcher=dispatcher),
        partial(
            carry_out,
            ledger=store.ledger,
            callers=callers,
            events=store.events,
            dispatcher=dispatcher,
            registry=registry,
            unknown_types=settings.unknown_types,
        ),
    )


def replay_run(
    replay: Replay,
    *,
    effects: Effects = "skip",
    last: int | None = None,
    rate: float | None = None,
    max_failures: MaxFailures | None = None,
    yield_above: int = YIELD_ABOVE,
    clock: Callable[[], float] = time.monotonic,
    registry: PipelineRegistry,
    settings: Settings,
    subscriptions: Mapping[str, Subscription],
    store: SqlStore,
    dispatcher: Callable[[], Dispatcher],
    callers: Callable[[], Mapping[str, Caller]],
    journal: LogJournal,
    heart: Heart,
    limits: Limits,
) -> ReplayRun:
    """What one process needs to run a replay: an engine that works it alone, and rings nobody for it.

    Only this process holds the code it was planned for. It goes no further than position `last`; `rate` is this
    process's, in events a second.
    """
    pace = Pace(rate, one_by_one=max_failures is not None, clock=clock)
    batch, lease = pace.batch(settings.claim_batch), settings.lease_seconds
    subscription = bounded(subscription_of(replay, batch=batch, lease=lease), last)
    processor = Processor(registry, generation=replay.id, unknown_types=settings.unknown_types, mask=settings.mask())
    handled: list[tuple[Subscription, Handler]] = [(subscription, pace.counted(processor.process))]
    if effects == "live":
        world = _world(registry, settings, store, dispatcher(), callers())
        handled += zip(effects_of(replay, batch=batch, lease=lease), world, strict=True)
    return ReplayRun(
        engine=Engine(
            works={
                each.name: Work(subscription=each, load=_loader(store, each), handle=handle) for each, handle in handled
            },
            claims=store.claims,
            dispatcher=Silence(),
            journal=journal,
            owner=process_name("replay"),
            heart=heart,
            limits=limits,
            clock=clock,
        ),
        conditions=Conditions(
            replay=replay,
            subscription=subscription,
            live=[each.name for each in subscriptions.values() if each.route is not None],
            effects=[each.name for each, _ in handled[1:]],
            replays=store.replays,
            claims=store.claims,
            contexts=store.contexts,
            ended=EndedEvents(replay, claims=store.claims, events=store.events),
            max_failures=max_failures,
            yield_above=yield_above,
            clock=clock,
        ),
        pace=pace,
    )


def engine_of(work: Work, *, claims: Claims, journal: LogJournal, heart: Heart, limits: Limits) -> Engine:
    """An engine of a command: it has one work, and rings nobody."""
    return Engine(
        works={work.subscription.name: work},
        claims=claims,
        dispatcher=Silence(),
        journal=journal,
        owner=owner_name("command"),
        heart=heart,
        limits=limits,
    )


def dry_run(registry: PipelineRegistry, settings: Settings) -> DryRun:
    """The code at hand over one event, as a replay would run it."""
    return Processor(registry, generation=NOT_LIVE, unknown_types=settings.unknown_types, mask=settings.mask()).dry_run


def _loader(store: SqlStore, subscription: Subscription) -> Loader:
    log: EventLog | ContextLog = store.events if subscription.log == "events" else store.contexts
    return lambda selection, limit: log.read(selection, limit=limit)
