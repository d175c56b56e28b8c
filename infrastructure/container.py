"""Container: the composition root. Nothing else constructs an adapter.

A technology is imported when its adapter is first asked for, so that the embedded service loads neither Celery
nor Redis nor Elasticsearch.
"""

from functools import partial
from pathlib import Path

from dependency_injector import containers, providers

from application.admission import Admission
from application.appender import Appender
from application.auditor import Auditor
from application.document_fields import union_of
from application.engine import Engine
from application.feed import Feed
from application.follower import Follower
from application.heart import Heart
from application.key_ring import KeyRing
from application.ports.anchor import Anchor
from application.ports.caller import Caller
from application.ports.dispatcher import Dispatcher
from application.ports.search_index import SearchIndex
from application.pulse import LocalPulse, Watchdog
from application.subscription import subscription_with
from application.sweep import Sweeper
from application.use_cases.biography import biography_of
from application.use_cases.comparing import compare_held
from application.use_cases.corpus import export_corpus
from application.use_cases.indices import IndexBuilder
from application.use_cases.replay import compare_replay
from application.use_cases.replay_plans import plan_replay
from application.use_cases.replaying import begin_replay, expected_effects
from application.use_cases.results import INDEX, Indexer
from application.use_cases.schedules import Clockwork
from application.use_cases.staleness import find_stale, stale_positions
from domain.effects import Email, HttpCall
from domain.outgoing import allowed_of
from infrastructure import cron, plugins
from infrastructure.anchor_file import FileAnchor
from infrastructure.checks import Checks
from infrastructure.embedded.engine_threads import EngineThreads
from infrastructure.engines import dry_run, engine_of, replay_run, subscriptions_of, works_of
from infrastructure.http_calls.signature import secrets_of
from infrastructure.ids import new_id, new_key_parts
from infrastructure.journal import LogJournal
from infrastructure.limits import ProcessLimits
from infrastructure.metrics import Metrics
from infrastructure.processes import is_surely_dead, operator_name, owner_name
from infrastructure.settings import Settings
from infrastructure.settings import load as load_settings
from infrastructure.smtp.server import MailServer
from infrastructure.sql.store import SqlStore

SERVICE_OWNER = "service"
"""Owners of an embedded service's leases begin with this: a successor ends them at once."""
WORKER_OWNER = "worker"


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

        return ElasticsearchSearchIndex.at(
            settings.elasticsearch_url, alias=settings.elasticsearch_index, shards=settings.elasticsearch_shards
        )
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


REST = 3.0
"""A worker that has caught up works a quarter of the time: a claim of few events takes as long as one of many."""


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
    subscriptions = providers.Singleton(subscriptions_of, registry, settings)
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
        works_of,
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
    rest = providers.Object(REST)
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
        rest=rest,
    )
    watchdog = providers.Singleton(
        Watchdog, claims, subscriptions.provided.values.call(), pulse, patience=settings.provided.watchdog_seconds
    )
    fingerprints = registry.provided.fingerprints
    dry_run = providers.Callable(dry_run, registry, settings)
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
    engine_of = providers.Callable(partial, engine_of, claims=claims, journal=journal, heart=heart, limits=limits)
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
        replay_run,
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
