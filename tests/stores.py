"""Stores: one store on each kind of database, as the contract suites see it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from application.ports.api_keys import ApiKeys
from application.ports.audit import Audit
from application.ports.claims import Claims
from application.ports.context_log import ContextLog
from application.ports.controls import Controls
from application.ports.dead_letters import DeadLetters
from application.ports.effect_ledger import EffectLedger
from application.ports.event_log import EventLog
from application.ports.log_ids import LogIds
from application.ports.pipeline_codes import PipelineCodes
from application.ports.promotions import Promotions
from application.ports.replays import Replays
from application.ports.seals import Seals
from application.ports.task_states import TaskStates
from infrastructure.memory.store import MemoryStore
from infrastructure.memory.tables import system_clock
from infrastructure.sql.store import SqlStore


@dataclass(frozen=True, kw_only=True)
class Store:
    """The ports of one database. `later` lets some seconds pass on the clock that the database goes by."""

    events: EventLog
    contexts: ContextLog
    claims: Claims
    states: TaskStates
    replays: Replays
    promotions: Promotions
    codes: PipelineCodes
    dead_letters: DeadLetters
    controls: Controls
    ledger: EffectLedger
    seals: Seals
    log_ids: LogIds
    api_keys: ApiKeys
    audit: Audit
    later: Callable[[float], None]


class StillClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self._now = system_clock()

    def __call__(self) -> datetime:
        return self._now

    def later(self, seconds: float) -> None:
        """Move on."""
        self._now += timedelta(seconds=seconds)


def of_memory() -> Store:
    clock = StillClock()
    store = MemoryStore(clock)
    return Store(
        events=store.events,
        contexts=store.contexts,
        claims=store.claims,
        states=store.states,
        replays=store.replays,
        promotions=store.promotions,
        codes=store.codes,
        dead_letters=store.dead_letters,
        controls=store.controls,
        ledger=store.ledger,
        seals=store.seals,
        log_ids=store.log_ids,
        api_keys=store.api_keys,
        audit=store.audit,
        later=clock.later,
    )


def of_sql(store: SqlStore) -> Store:
    return Store(
        events=store.events,
        contexts=store.contexts,
        claims=store.claims,
        states=store.states,
        replays=store.replays,
        promotions=store.promotions,
        codes=store.codes,
        dead_letters=store.dead_letters,
        controls=store.controls,
        ledger=store.ledger,
        seals=store.seals,
        log_ids=store.log_ids,
        api_keys=store.api_keys,
        audit=store.audit,
        later=time.sleep,
    )


@contextmanager
def opened(url: str) -> Iterator[SqlStore]:
    """A store that is closed at the end."""
    store = SqlStore(url)
    try:
        yield store
    finally:
        store.close()
