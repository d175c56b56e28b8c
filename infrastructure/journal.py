"""The journal: one canonical log line for each worked claim, and the counters of this process."""

from collections import Counter as Tally
from collections.abc import Sequence

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

from application.ports.claims import Claim
from application.ports.journal import ClaimEnded, Journal


class LogJournal(Journal):
    """Writes lines and counts; `metrics` holds the counters."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("playhead")
        self.metrics = CollectorRegistry()
        self._contexts = Counter(
            "playhead_contexts_total", "Contexts appended, by pipeline and status.", ["pipeline", "status"],
            registry=self.metrics,
        )  # fmt: skip
        self._claims = Counter(
            "playhead_claims_total", "Claims worked, by subscription and result.", ["subscription", "result"],
            registry=self.metrics,
        )  # fmt: skip
        self._seconds = Histogram(
            "playhead_claim_seconds", "How long a claim was worked.", ["subscription"], registry=self.metrics
        )
        self._dropped = Counter(
            "playhead_messages_dropped_total", "Broker messages that named nothing.", registry=self.metrics
        )
        self._requests = Histogram(
            "playhead_http_request_seconds", "How long HTTP requests took.", ["method", "route", "status"],
            registry=self.metrics,
        )  # fmt: skip
        self._rejected = Counter(
            "playhead_documents_rejected_total", "Documents that the index refused.", registry=self.metrics
        )

    def request_ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """An HTTP request was answered; `route` is its template."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def claim_ended(self, ended: ClaimEnded) -> None:
        tally = Tally((context.pipeline, context.status) for context in ended.contexts)
        by_status: dict[str, int] = Tally(context.status for context in ended.contexts)
        subscription = ended.claim.subscription
        # Replays and builds of indices have numbers, of which there is no end.
        name = next((each for each in ("replay", "index") if subscription.startswith(f"{each}-")), subscription)
        self._claims.labels(name, ended.result).inc()
        self._seconds.labels(name).observe(ended.seconds)
        if ended.result == "completed":
            for (pipeline, status), count in tally.items():
                self._contexts.labels(pipeline, status).inc(count)
        line: dict[str, object] = {
            "subscription": subscription,
            "first": ended.claim.first,
            "last": ended.claim.last,
            "attempt": ended.claim.attempt + 1,
            "rows": ended.rows,
            "ms": round(ended.seconds * 1000, 1),
            "result": ended.result,
            **by_status,
        }
        if ended.requeued:
            line["requeued"] = ended.requeued
        if ended.error is not None:
            self._log.warning("claim_failed", error=f"{type(ended.error).__name__}: {ended.error}", **line)
        else:
            self._log.info("claim_ended", **line)

    def completion_refused(self, claim: Claim, error: Exception) -> None:
        self._log.error(
            "completion_refused",
            subscription=claim.subscription,
            first=claim.first,
            last=claim.last,
            error=str(error),
        )

    def documents_rejected(self, event_ids: Sequence[str], reason: str) -> None:
        self._rejected.inc(len(event_ids))
        self._log.warning("documents_rejected", event_ids=list(event_ids), reason=reason)

    def message_dropped(self, reason: str) -> None:
        """A broker's message that says nothing true was dropped."""
        self._dropped.inc()
        count = self.metrics.get_sample_value("playhead_messages_dropped_total")
        self._log.warning("message_dropped", reason=reason, dropped_by_this_process=int(count or 0))

    def failed(self, what: str, error: Exception) -> None:
        self._log.warning("failed", what=what, error=f"{type(error).__name__}: {error}")
