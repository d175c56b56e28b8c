"""Bugs of the application's rules: retries, hand-backs, sweeps, follow-ups, the index."""

from itertools import count
from typing import Any

import pytest

from application.engine import Engine, Outcome
from application.ports.claims import Completion, Requeue
from application.sweep import Sweeper
from application.use_cases import follow_ups, processing
from application.use_cases.results import Indexer
from domain.errors import Unavailable
from domain.events import derived_id
from tests.reliability.simulator.weather import RANGES
from tests.reliability.zoo.registry import bug


@bug("a lasting failure is tried for ever", shows="did not come to rest|was tried")
def _never_gives_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(processing, "_may_be_tried_again", lambda _error, _claim, pipeline: pipeline is not None)


@bug("a hand-back counts as an attempt", shows="attempts counted|was tried")
def _hand_back_counts(patch: pytest.MonkeyPatch) -> None:
    def hand_back(self: Engine) -> None:
        while self._owed:
            claim = self._owed.pop()
            back = Requeue(first=claim.first, last=claim.last, attempt=claim.attempt + 1)
            try:
                self.claims.complete(claim, Completion(requeues=[back]))
            except Unavailable:
                self._owed.append(claim)
                raise

    patch.setattr(Engine, "_hand_back_owed", hand_back)


@bug("the last bell is lost, and nobody sweeps", shows="did not come to rest")
def _no_sweep(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Sweeper, "sweep", lambda _: [])


def _random_ids(patch: pytest.MonkeyPatch) -> None:
    numbers = count()
    patch.setattr(follow_ups, "effect_id", lambda event_id, *_, **__: derived_id(event_id, next(numbers)))


bug("follow-ups have random ids", shows="the follow-up")(_random_ids)
bug("follow-ups have random ids, on a database", shows="the follow-up", parts=("sending",))(_random_ids)


def _checkpoint_first(patch: pytest.MonkeyPatch) -> None:
    original = Indexer.index_contexts

    def index_contexts(self: Indexer, batch: Any) -> Any:
        try:
            return original(self, batch)
        except Unavailable:
            return [Outcome(position=row.position) for row in batch.rows]

    patch.setattr(Indexer, "index_contexts", index_contexts)


bug("the index's checkpoint moves before the bulk is accepted", shows="the index holds None")(_checkpoint_first)
bug("the index's checkpoint moves early, on a database", shows="the index holds None", parts=("sending",))(
    _checkpoint_first
)


@bug("an index is made before its subscription begins anew", shows="the index holds None")
def _made_first(patch: pytest.MonkeyPatch) -> None:
    """As it was until the simulator found it. Too rare where the index is seldom deleted, or much else goes wrong."""
    patch.setitem(RANGES, "index_deleted", 0.9)
    for fault in ("search_before", "search_after", "search_away", "database_before", "database_after", "database_away"):
        patch.setitem(RANGES, fault, 0.0)

    original = Indexer.open

    def open_(self: Indexer) -> None:
        self.index.open(self.fields)
        for _ in range(20):
            self.index.indices()
        backlog = self.claims.backlog([self.subscription.name]).get(self.subscription.name)
        if backlog is not None and backlog.cursor > 0 and self.index.state().documents == 0:
            self.claims.rewind(self.subscription)
        original(self)

    patch.setattr(Indexer, "_begin_anew", lambda _: None)
    patch.setattr(Indexer, "open", open_)
