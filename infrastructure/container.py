"""Container: the composition root. Nothing else constructs an adapter.

A technology is imported when its adapter is first asked for, so that the embedded service loads neither Celery
nor Redis nor Elasticsearch.
"""

import os
import pwd
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from dependency_injector import containers, providers

from application.admission import Admission
from application.appender import Appender
from application.auditor import Auditor
from application.document_fields import union_of
from application.engine import Engine, Handler, Loader, Work
from application.feed import Feed
from application.follower import Follower
from application.heart import Heart
from application.key_ring import KeyRing
from application.ports.anchor import Anchor
from application.ports.caller import Caller
from application.ports.claims import Claims
from application.ports.dispatcher import Dispatcher, Silence
from application.ports.limits import Limits
from application.ports.replays import Replay
from application.ports.search_index import SearchIndex
from application.pulse import LocalPulse, Watchdog
from application.subscription import Selection, Subscription, subscription_with, subscriptions_of
from application.sweep import Sweeper
from application.use_cases.backlogs import FOLLOW_UPS
from application.use_cases.biography import biography_of
from application.use_cases.comparing import DryRun, compare_held
from application.use_cases.corpus import export_corpus
from application.use_cases.effect_states import DECLARES_CALLS
from application.use_cases.effects import EFFECTS, carry_out
from application.use_cases.follow_ups import append_follow_ups
from application.use_cases.indices import IndexBuilder
from application.use_cases.processing import Processor
from application.use_cases.replay import compare_replay, plan_replay, subscription_of
from application.use_cases.replay_run import YIELD_ABOVE, Conditions, EndedEvents, MaxFailures, Pace, ReplayRun
from application.use_cases.replaying import Effects, begin_replay, bounded, effects_of, expected_effects
from application.use_cases.results import INDEX, Indexer
from application.use_cases.schedules import Clockwork
from application.use_cases.sealing import SEALING, places, seal_rows
from application.use_cases.staleness import find_stale, stale_positions
from domain.effects import Email, HttpCall
from domain.outgoing import allowed_of
from domain.registry import PipelineRegistry
from domain.retry import NO_END, Retry
from domain.seals import MAX_ROWS
from infrastructure import cron, plugins
from infrastructure.anchor_file import FileAnchor
from infrastructure.checks import Checks
from infrastructure.embedded.engine_threads import EngineThreads
from infrastructure.http_calls.signature import secrets_of
from infrastructure.ids import new_id, new_key_parts
from infrastructure.journal import LogJournal
from infrastructure.limits import ProcessLimits
from infrastructure.metrics import Metrics
from infrastructure.processes import is_surely_dead, process_name
from infrastructure.settings import Settings
from infrastructure.settings import load as load_settings
from infrastructure.smtp.server import MailServer
from infrastructure.sql.store import SqlStore

SERVICE_OWNER = "service"
"""Owners of an embedded service's leases begin with this: a successor ends them at once."""
WORKER_OWNER = "worker"
NOT_LIVE = -1
"""A generation that no context ever has."""
UNTIL_IT_SUCCEEDS = Retry(attempts=NO_END, base=0.5, cap=15.0)


def owner_name(kind: str) -> str:
    """Who holds a lease: the kind of process, the machine, the process id."""
    return f"{kind}-{socket.gethostname()}-{os.getpid()}"


def operator_name() -> str:
    """The actor of what is done from a command line: this process's user, as the operating system has it."""
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:  # a container may run under a number without a name
        return f"cli:{os.getuid()}"


def _store(settings: Settings) -> SqlStore:
    return SqlStore(settings.store_url)


def _dispatcher(settings: Settings, engine_threads: EngineThreads) -> Dispatcher:
    if not settings.celery_broker_url:
        return engine_threads
    from infrastructure.celery.dispatcher import CeleryDispatcher  # noqa: PLC0415  # see the module's docstring

    return CeleryDispatcher.to(settings)


def _search_index(settings: Settings) -> SearchIndex:
    if settings.elasticsearch_url:
        from infrastructure.elasticsearch.search_index import ElasticsearchSearchIndex  # noqa: PLC0415  # see above

        return ElasticsearchSearchIndex.at(settings.elasticsearch_url, alias=settings.elasticsearch_index)
    from infrastructure.embedded.search_index import Fts5SearchIndex  # noqa: PLC0415  # see above

    return Fts5SearchIndex(settings.playhead_home / "search.db")


def _callers(settings: Settings) -> dict[str, Caller]:
    """Who carries out a declared call, by its kind."""
    from infrastructure.http_calls.caller import HttpCaller  # noqa: PLC0415  # see above
    from infrastructure.http_calls.guard import Guard  # noqa: PLC0415  # see above
    from infrastructure.smtp.caller import SmtpCaller  # noqa: PLC0415  # see above

    guard = Guard([allowed_of(place) for place in settings.outgoing_allow])
    server = MailServer.of(settings.smtp_url) if settings.smtp_url else None
    return {
        HttpCall.kind: HttpCaller(guard, secrets=secrets_of(settings.webhook_secret)),
        Email.kind: SmtpCaller(server, sender=settings.email_from, allowed=settings.email_allow),
    }


def _anchor(settings: Settings) -> Anchor | None:
    return FileAnchor(Path(settings.seal_anchor)) if settings.seal_anchor else None


def _subscriptions(registry: PipelineRegistry, settings: Settings) -> dict[str, Subscription]:
    batch, lease = settings.claim_batch, settings.lease_seconds
    on_contexts = (
        (FOLLOW_UPS, {"emits": True, "generation": 0}, batch, UNTIL_IT_SUCCEEDS),
        # Of all generations: those of a view are chosen when a claim is loaded.
        (INDEX, {"status": "completed"}, batch, UNTIL_IT_SUCCEEDS),
        # The schedule of calls is the handler's; this is for what keeps it from its ledger.
        (EFFECTS, DECLARES_CALLS, 1, UNTIL_IT_SUCCEEDS),
    )
    subscriptions = [
        *(each for pipeline in registry for each in subscriptions_of(pipeline, batch=batch, lease=lease)),
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


def _works(
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


def _replay_run(
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


def _engine_of(work: Work, *, claims: Claims, journal: LogJournal, heart: Heart, limits: Limits) -> Engine:
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


def _dry_run(registry: PipelineRegistry, settings: Settings) -> DryRun:
    """The code at hand over one event, as a replay would run it."""
    return Processor(registry, generation=NOT_LIVE, unknown_types=settings.unknown_types, mask=settings.mask()).dry_run


def _loader(store: SqlStore, subscription: Subscription) -> "partial[list[object]]":
    log = store.events if subscription.log == "events" else store.contexts
    return partial(_read, log)


def _read(log: object, selection: Selection, limit: int) -> list[object]:
    return log.read(selection, limit=limit)  # type: ignore[attr-defined,no-any-return]  # either log reads so


class Container(containers.DeclarativeContainer):
    """Every port and its keeper, chosen by the settings. One a process."""

    settings = providers.Singleton(load_settings)
    mask = providers.Singleton(lambda settings: settings.mask(), settings)
    owner_kind = providers.Object(SERVICE_OWNER)
    registry = providers.Singleton(plugins.load_pipelines, settings.provided.pipelines)
    journal = providers.Singleton(LogJournal)
    store = providers.Singleton(_store, settings)
    events = store.provided.events
    contexts = store.provided.contexts
    claims = store.provided.claims
    states = store.provided.states
    replays = store.provided.replays
    promotions = store.provided.promotions
    codes = store.provided.codes
    dead_letters = store.provided.dead_letters
    controls = store.provided.controls
    ledger = store.provided.ledger
    seals = store.provided.seals
    log_ids = store.provided.log_ids
    anchor = providers.Singleton(_anchor, settings)
    api_keys = store.provided.api_keys
    audit = store.provided.audit
    operator = providers.Callable(operator_name)
    auditor = providers.Factory(Auditor, operator, audit)
    new_key_parts = providers.Object(new_key_parts)
    key_ring = providers.Singleton(KeyRing, api_keys)
    engine_threads = providers.Singleton(EngineThreads, threads=settings.provided.engine_threads)
    dispatcher = providers.Singleton(_dispatcher, settings, engine_threads)
    search_index = providers.Singleton(_search_index, settings)
    subscriptions = providers.Singleton(_subscriptions, registry, settings)
    fields = providers.Singleton(union_of, registry)
    indexer = providers.Singleton(
        Indexer,
        index=search_index,
        fields=fields,
        subscription=subscriptions.provided[INDEX],
        claims=claims,
        contexts=contexts,
        promotions=promotions,
        log_ids=log_ids,
        journal=journal,
    )
    callers = providers.Singleton(_callers, settings)
    works = providers.Singleton(
        _works,
        subscriptions,
        registry=registry,
        settings=settings,
        store=store,
        dispatcher=dispatcher,
        indexer=indexer,
        callers=callers,
        anchor=anchor,
        journal=journal,
    )
    limits = providers.Singleton(ProcessLimits)
    pulse = providers.Singleton(LocalPulse)
    heart = providers.Singleton(Heart, claims, lease=settings.provided.lease_seconds, pulse=pulse)
    engine = providers.Singleton(
        Engine,
        works=works,
        claims=claims,
        dispatcher=dispatcher,
        journal=journal,
        owner=providers.Callable(owner_name, owner_kind),
        heart=heart,
        limits=limits,
        pulse=pulse,
    )
    watchdog = providers.Singleton(
        Watchdog, claims, subscriptions.provided.values.call(), pulse, patience=settings.provided.watchdog_seconds
    )
    fingerprints = registry.provided.fingerprints
    dry_run = providers.Callable(_dry_run, registry, settings)
    export_corpus = providers.Callable(
        partial,
        export_corpus,
        contexts=contexts,
        states=states,
        promotions=promotions,
        log_ids=log_ids,
        registry=registry,
        fingerprints=fingerprints,
        dry_run=dry_run,
    )
    find_stale = providers.Callable(
        partial, find_stale, contexts=contexts, events=events, codes=codes, promotions=promotions, registry=registry
    )
    stale = providers.Callable(
        partial, stale_positions, contexts=contexts, codes=codes, promotions=promotions, registry=registry
    )
    plan_replay = providers.Callable(
        partial,
        plan_replay,
        events=events,
        contexts=contexts,
        states=states,
        index=search_index,
        replays=replays,
        registry=registry,
        fingerprints=fingerprints,
        stale=stale,
        dry_run=dry_run,
    )
    compare_held = providers.Callable(
        partial, compare_held, events=events, contexts=contexts, promotions=promotions, dry_run=dry_run
    )
    compare_replay = providers.Callable(
        partial,
        compare_replay,
        events=events,
        contexts=contexts,
        promotions=promotions,
        registry=registry,
        fingerprints=fingerprints,
        dry_run=dry_run,
    )
    biography = providers.Callable(
        biography_of,
        events=events,
        contexts=contexts,
        states=states,
        claims=claims,
        ledger=ledger,
        audit=audit,
        replays=replays,
        promotions=promotions,
        index=search_index,
        registry=registry,
    )
    subscription_with = providers.Callable(partial, subscription_with, registry=registry)
    appender = providers.Singleton(Appender, events, dispatcher, journal, subscription_with)
    admission = providers.Singleton(Admission, claims, events, limit=settings.provided.backlog_limit)
    follower = providers.Singleton(Follower, contexts)
    feed = providers.Singleton(Feed, events, limit=settings.provided.feed_streams)
    new_id = providers.Callable(new_id)
    checks = providers.Singleton(Checks, settings, store, search_index, registry, anchor=anchor, mask=mask)
    metrics = providers.Singleton(Metrics, journal, claims, events, registry, ledger=ledger, seals=seals)
    engine_of = providers.Callable(partial, _engine_of, claims=claims, journal=journal, heart=heart, limits=limits)
    index_builder = providers.Factory(
        IndexBuilder,
        index=search_index,
        fields=fields,
        events=events,
        contexts=contexts,
        claims=claims,
        log_ids=log_ids,
        promotions=promotions,
        template=subscriptions.provided[INDEX],
        engine_of=engine_of,
    )
    begin_replay = providers.Callable(
        partial,
        begin_replay,
        batch=settings.provided.claim_batch,
        lease=settings.provided.lease_seconds,
        replays=replays,
        claims=claims,
        events=events,
        codes=codes,
        registry=registry,
        fingerprints=fingerprints,
        is_dead=providers.Object(is_surely_dead),
    )
    expected_effects = providers.Callable(partial, expected_effects, events=events, states=states, dry_run=dry_run)
    replay_run = providers.Factory(
        _replay_run,
        registry=registry,
        settings=settings,
        subscriptions=subscriptions,
        store=store,
        # Made where effects are carried out, and nowhere else.
        dispatcher=dispatcher.provider,
        callers=callers.provider,
        journal=journal,
        heart=heart,
        limits=limits,
    )
    slots = providers.Object(cron.slots)
    clockwork = providers.Singleton(
        Clockwork,
        registry=registry,
        slots=slots,
        events=events,
        dispatcher=dispatcher,
        new_id=new_id.provider,
        now=events.provided.now,
    )
    sweeper = providers.Singleton(Sweeper, claims, dispatcher, subscriptions)
