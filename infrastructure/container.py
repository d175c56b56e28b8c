"""Container: the composition root. Nothing else constructs an adapter.

A technology is imported when its adapter is first asked for, so that the embedded service loads neither Celery
nor Redis nor Elasticsearch.
"""

import os
import socket
from collections.abc import Mapping
from functools import partial
from dependency_injector import containers, providers

from application.document_fields import union_of
from application.engine import Engine, Work
from application.heart import Heart
from application.ports.dispatcher import Dispatcher
from application.ports.search_index import SearchIndex
from application.subscription import Selection, Subscription, of_pipeline
from application.sweep import Sweeper
from application.use_cases.follow_ups import append_follow_ups
from application.use_cases.processing import Processor
from application.use_cases.results import INDEX, Indexer
from domain.registry import PipelineRegistry
from domain.retry import NO_END, Retry
from infrastructure import plugins
from infrastructure.journal import LogJournal
from infrastructure.settings import Settings
from infrastructure.settings import load as load_settings
from infrastructure.sql.store import SqlStore

FOLLOW_UPS = "follow-ups"
SERVICE_OWNER = "service"
"""Owners of an embedded service's leases begin with this: a successor ends them at once."""
UNTIL_IT_SUCCEEDS = Retry(attempts=NO_END, base=0.5, cap=15.0)


def owner_name(kind: str) -> str:
    """Who holds a lease: the kind of process, the machine, the process id."""
    return f"{kind}-{socket.gethostname()}-{os.getpid()}"


def _store(settings: Settings) -> SqlStore:
    return SqlStore(settings.store_url)


def _dispatcher(settings: Settings, registry: PipelineRegistry) -> Dispatcher:
    if not settings.celery_broker_url:
        from infrastructure.embedded.engine_threads import EngineThreads  # noqa: PLC0415  # see the module's docstring

        return EngineThreads(threads=settings.engine_threads)
    from infrastructure.celery.dispatcher import CeleryDispatcher  # noqa: PLC0415  # see the module's docstring

    return CeleryDispatcher.to(settings, registry)


def _search_index(settings: Settings) -> SearchIndex:
    if settings.elasticsearch_url:
        from infrastructure.elasticsearch.search_index import ElasticsearchSearchIndex  # noqa: PLC0415  # see above

        return ElasticsearchSearchIndex.at(settings.elasticsearch_url, alias=settings.elasticsearch_index)
    from infrastructure.embedded.search_index import Fts5SearchIndex  # noqa: PLC0415  # see above

    return Fts5SearchIndex(settings.playhead_home / "search.db")


def _subscriptions(registry: PipelineRegistry, settings: Settings) -> dict[str, Subscription]:
    policy = {"batch": settings.claim_batch, "lease": settings.lease_seconds}
    ours = [
        Subscription(
            name=FOLLOW_UPS,
            log="task_contexts",
            selection=Selection(where={"emits": True, "generation": 0}),
            retry=UNTIL_IT_SUCCEEDS,
            **policy,
        ),
        Subscription(
            name=INDEX,
            log="task_contexts",
            selection=Selection(where={"status": "completed", "generation": 0}),
            retry=UNTIL_IT_SUCCEEDS,
            **policy,
        ),
    ]
    pipelines = [of_pipeline(pipeline.name, retry=pipeline.retry, **policy) for pipeline in registry]
    return {subscription.name: subscription for subscription in (*pipelines, *ours)}


def _works(
    subscriptions: Mapping[str, Subscription],
    registry: PipelineRegistry,
    settings: Settings,
    store: SqlStore,
    dispatcher: Dispatcher,
    indexer: Indexer,
) -> dict[str, Work]:
    processor = Processor(registry, unknown_types=settings.unknown_types)
    handlers = {
        FOLLOW_UPS: partial(append_follow_ups, registry=registry, events=store.events, dispatcher=dispatcher),
        INDEX: indexer.index_contexts,
    }
    return {
        name: Work(
            subscription=subscription,
            load=_loader(store, subscription),
            handle=handlers.get(name, processor.process),
        )
        for name, subscription in subscriptions.items()
    }


def _loader(store: SqlStore, subscription: Subscription) -> "partial[list[object]]":
    log = store.events if subscription.log == "events" else store.contexts
    return partial(_read, log)


def _read(log: object, selection: Selection, limit: int) -> list[object]:
    return log.read(selection, limit=limit)  # type: ignore[attr-defined,no-any-return]  # either log reads so


class Container(containers.DeclarativeContainer):
    """Every port and its keeper, chosen by the settings. One a process."""

    settings = providers.Singleton(load_settings)
    registry = providers.Singleton(plugins.load_pipelines, settings.provided.pipelines)
    journal = providers.Singleton(LogJournal)
    store = providers.Singleton(_store, settings)
    events = store.provided.events
    contexts = store.provided.contexts
    claims = store.provided.claims
    states = store.provided.states
    replays = store.provided.replays
    dispatcher = providers.Singleton(_dispatcher, settings, registry)
    search_index = providers.Singleton(_search_index, settings)
    subscriptions = providers.Singleton(_subscriptions, registry, settings)
    fields = providers.Singleton(union_of, registry)
    indexer = providers.Singleton(Indexer, index=search_index, fields=fields, journal=journal)
    works = providers.Singleton(_works, subscriptions, registry, settings, store, dispatcher, indexer)
    heart = providers.Singleton(Heart, claims, lease=settings.provided.lease_seconds)
    engine = providers.Singleton(
        Engine,
        works=works,
        claims=claims,
        dispatcher=dispatcher,
        journal=journal,
        owner=providers.Callable(owner_name, SERVICE_OWNER),
        heart=heart,
    )
    sweeper = providers.Singleton(Sweeper, claims, dispatcher, subscriptions)
