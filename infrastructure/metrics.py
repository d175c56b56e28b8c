"""Metrics: this process's counters, and what the database knows when it is asked."""

from collections.abc import Iterator

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from application.ports.claims import Claims
from application.ports.effect_ledger import EffectLedger
from application.ports.event_log import EventLog
from application.ports.seals import Seals
from application.use_cases.backlogs import pipeline_backlogs
from application.use_cases.effect_states import count_effects
from application.use_cases.results import index_lag
from application.use_cases.sealing import LOGS, unsealed_rows
from domain.errors import Unavailable
from domain.registry import PipelineRegistry
from infrastructure.journal import LogJournal


class Metrics(Collector):
    """Joins the journal's counters and gauges that are read from the database at each scrape."""

    def __init__(
        self,
        journal: LogJournal,
        claims: Claims,
        events: EventLog,
        registry: PipelineRegistry,
        *,
        ledger: EffectLedger,
        seals: Seals,
    ) -> None:
        self._journal = journal
        self._claims = claims
        self._events = events
        self._registry = registry
        self._ledger = ledger
        self._seals = seals
        self._read = CollectorRegistry()
        self._read.register(self)

    def describe(self) -> Iterator[Metric]:
        """Nothing is read before the first scrape."""
        return iter(())

    def exposition(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self._journal.metrics) + generate_latest(self._read)

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("playhead_database_up", "Whether the database could be read for this scrape.")
        try:
            yield from self._gauges()
            up.add_metric([], 1)
        except Unavailable:
            up.add_metric([], 0)
        yield up

    def _gauges(self) -> list[Metric]:
        waiting = GaugeMetricFamily(
            "playhead_pipeline_waiting", "Events behind a pipeline's cursor or in its claims.", labels=["pipeline"]
        )
        unloaded = GaugeMetricFamily(
            "playhead_pipeline_unloaded",
            "1 where a backlog waits for a pipeline not loaded here.",
            labels=["pipeline"],
        )
        for backlog in pipeline_backlogs(claims=self._claims, events=self._events, registry=self._registry):
            count = backlog.waiting + backlog.claimed
            waiting.add_metric([backlog.subscription], count)
            unloaded.add_metric([backlog.subscription], int(not backlog.loaded and count > 0))
        lag = GaugeMetricFamily("playhead_index_lag", "Contexts that the index is behind the log.")
        lag.add_metric([], index_lag(claims=self._claims))
        head = GaugeMetricFamily("playhead_events_head", "The last position of the events log.")
        head.add_metric([], self._events.head())
        effects = GaugeMetricFamily("playhead_effects", "Effects that an operator must look at.", labels=["status"])
        for status, count in count_effects(ledger=self._ledger).items():
            effects.add_metric([status], count)
        unsealed = GaugeMetricFamily("playhead_unsealed", "Rows that no seal covers yet.", labels=["log"])
        for log in LOGS:
            unsealed.add_metric([log], unsealed_rows(log, seals=self._seals))
        return [waiting, unloaded, lag, head, effects, unsealed]
