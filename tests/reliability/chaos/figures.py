"""Figures of a run: how long each recovery took, and what the plots show, second by second."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.reliability.chaos.faults import Happened
from tests.reliability.chaos.form import Form
from tests.reliability.chaos.history import lines_of
from tests.reliability.chaos.recovery import Recovered

Span = tuple[float, float]
_AFTERMATH = 2.0
"""How long after a fault connections still come back."""
_WORK = ("database", "broker", "worker", "child")


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds of one kind of recovery; `counted` is without the time in which another fault hindered it."""

    name: str
    goal: float
    counted: Sequence[float]
    raw: Sequence[float]
    never: int

    @property
    def met(self) -> bool:
        return not self.never and max(self.counted, default=0.0) <= self.goal


def answers_of(folder: Path) -> list[dict[str, Any]]:
    """Every answer, and every request that got none, by time."""
    lines = lines_of(*sorted(folder.glob("requests-*.jsonl")))
    return sorted((line for line in lines if line["what"] != "asked"), key=lambda line: line["at"])


def recoveries(
    form: Form, happened: Sequence[Happened], recovered: Sequence[Recovered], answers: Sequence[dict[str, Any]]
) -> list[Recovery]:
    """The four recoveries that are promised."""
    held = {"worker-kill", "child-kill", "worker-stop", "api-kill"}
    taken = [at["at"] for at in answers if 202 in at.get("statuses", ())]
    stops = [fault for fault in happened if fault.kind == "database-stop" and fault.ended is not None]
    accepting = [Recovered("database-stop", stop.ended, _after(taken, stop.ended)) for stop in stops]
    killed, emptied = "a worker was killed or stopped → its claims are held by others", {"broker-kill", "broker-flush"}
    groups = (
        (killed, form.lease + 5, form.lease, held, recovered, _WORK),
        ("broker emptied → events from before are taken on", 10.0, 0.0, emptied, recovered, _WORK),
        ("PostgreSQL accepts → first 202", 5.0, 0.0, {"database-stop"}, accepting, ("database", "api")),
        ("Elasticsearch back → what was waiting is indexed", 60.0, 0.0, {"search-away"}, recovered, (*_WORK, "search")),
    )
    return [
        _recovery(
            name, goal, free, [one for one in records if one.kind in kinds],
            [fault for fault in happened if fault.kind.partition("-")[0] in hindering],
        )
        for name, goal, free, kinds, records, hindering in groups
    ]  # fmt: skip


def _after(times: Iterable[float], begin: float) -> float | None:
    return next((at for at in times if at > begin), None)


def _recovery(
    name: str, goal: float, free: float, records: Sequence[Recovered], happened: Sequence[Happened]
) -> Recovery:
    counted, raw = [], []
    for record in records:
        if record.ended is None:
            continue
        spans = [(one.began, one.ended + _AFTERMATH) for one in happened if one.ended and not _is_own(one, record)]
        raw.append(round(record.ended - record.began, 2))
        counted.append(max(0.0, round(raw[-1] - covered(spans, (record.began + free, record.ended)), 2)))
    return Recovery(name, goal, counted, raw, sum(record.ended is None for record in records))


def _is_own(fault: Happened, record: Recovered) -> bool:
    """Whether a record is of this very fault: it began within it, or at its end."""
    assert fault.ended is not None
    return fault.kind == record.kind and fault.began - 0.5 <= record.began <= fault.ended + 0.5


def covered(spans: Iterable[Span], window: Span) -> float:
    """How much of a window some spans cover together."""
    total, reached = 0.0, window[0]
    for begin, end in sorted(spans):
        begin, end = max(begin, reached), min(end, window[1])  # noqa: PLW2901  # cut to what is not counted yet
        if end > begin:
            total += end - begin
            reached = end
    return total


def series_of(began: float, answers: Sequence[dict[str, Any]], samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the plots show: points of (seconds since the beginning, value)."""
    accepted: Counter[int] = Counter()
    times: dict[int, list[float]] = defaultdict(list)
    for answer in answers:
        second = int(answer["at"] - began)
        times[second].append(answer["ms"])
        if answer.get("kind") == "new":
            accepted[second] += answer.get("statuses", []).count(202)
    last = max(times, default=0)
    return {
        "accepted": [(second, accepted[second]) for second in range(last + 1)],
        "median": [(second, round(median(found), 1)) for second, found in sorted(times.items())],
        "slowest": [(second, max(found)) for second, found in sorted(times.items())],
        "waiting": [(round(one["at"] - began, 1), one["waiting"]) for one in samples],
        "index": [(round(one["at"] - began, 1), one["index"]) for one in samples if one["index"] is not None],
    }


def answered_share(answers: Sequence[dict[str, Any]], happened: Sequence[Happened]) -> dict[str, Any]:
    """Of the requests while no database fault was under way: how many had an answer other than 503, and how fast."""
    away = [(one.began, (one.ended or one.began) + _AFTERMATH) for one in happened if one.kind.startswith("database")]
    outside = [one for one in answers if not any(begin <= one["at"] <= end for begin, end in away)]
    good = [one for one in outside if one["what"] == "answered" and 503 not in one["statuses"]]
    slow = sorted(one["ms"] for one in good) or [0.0]
    return {
        "requests": len(answers),
        "outside of database faults": len(outside),
        "answered": len(good),
        "median ms": median(slow),
        "p99 ms": slow[int(len(slow) * 0.99)] if len(slow) > 1 else slow[0],
        "slowest ms": slow[-1],
    }
