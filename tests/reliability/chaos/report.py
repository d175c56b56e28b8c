"""Report: a run as JSON and as one page, and a few lines for the terminal."""

import json
import sys
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.reliability.chaos.figures import Recovery, answered_share, answers_of, recoveries, series_of
from tests.reliability.chaos.page import page_of
from tests.reliability.chaos.run import Outcome


def write_report(outcome: Outcome, folder: Path, *, times_count: bool) -> int:
    """Write `chaos-….json` and `chaos-….html`; how many violations there were."""
    form, answers = outcome.form, answers_of(outcome.form.folder)
    recovered = recoveries(form, outcome.happened, outcome.recovered, answers)
    report = _report(outcome, answers, recovered, times_count=times_count)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"chaos-{form.on}-{form.events}-seed-{form.seed}"
    (folder / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
    (folder / f"{name}.html").write_text(page_of(report, recovered, outcome.happened))
    _say(report, recovered, folder / f"{name}.html")
    return int(report["violations"])


def _report(
    outcome: Outcome, answers: list[dict[str, Any]], recovered: list[Recovery], *, times_count: bool
) -> dict[str, Any]:
    form = outcome.form
    missed = sum(not one.met for one in recovered) if times_count else 0
    last = outcome.settled or max(outcome.load_ended, outcome.samples[-1]["at"])
    return {
        "form": {name: value for name, value in asdict(form).items() if name != "folder"},
        "began": datetime.fromtimestamp(outcome.began, UTC).isoformat(timespec="seconds"),
        "began_at": outcome.began,
        "seconds": round(last - outcome.began, 1),
        "settled_after": None if outcome.settled is None else round(outcome.settled - outcome.load_ended, 1),
        "violations": sum(one.total - one.held for one in outcome.invariants) + missed,
        "sent": len(outcome.facts.sent),
        "outcomes": dict(Counter(sent.outcome for sent in outcome.facts.sent.values())),
        "unanswered": outcome.unanswered,
        "invariants": [asdict(one) for one in outcome.invariants],
        "first_violation": outcome.first_violation,
        "recovery": [asdict(one) | {"met": one.met} for one in recovered],
        "history_of_recoveries": [
            {
                "kind": one.kind,
                "at": round(one.began - outcome.began, 2),
                "seconds": None if one.ended is None else round(one.ended - one.began, 2),
                "left": one.left,
            }
            for one in outcome.recovered
        ],
        "faults": _faults(outcome),
        "faults_done": len(outcome.happened),
        "history_of_faults": [
            {
                "kind": one.kind,
                "victim": one.victim,
                "at": round(one.began - outcome.began, 2),
                "seconds": round((one.ended or one.began) - one.began, 2),
            }
            for one in outcome.happened
        ],
        "exits": outcome.exits,
        "requests": answered_share(answers, outcome.happened),
        "versions": dict(outcome.versions),
        "series": series_of(outcome.began, answers, outcome.samples),
    }


def _faults(outcome: Outcome) -> dict[str, dict[str, int]]:
    planned = Counter(fault.kind for fault in outcome.plan.faults)
    done = Counter(one.kind for one in outcome.happened)
    left_out = Counter(outcome.plan.left_out) + Counter(outcome.not_begun)
    return {
        kind: {"planned": planned[kind], "done": done[kind], "left_out": left_out[kind]}
        for kind in sorted(planned.keys() | left_out.keys())
    }


def _say(report: dict[str, Any], recovered: list[Recovery], page: Path) -> None:
    lines = [
        f"{report['sent']} events sent: {report['outcomes']}; {report['faults_done']} faults; {report['versions']}"
    ]
    for one in report["invariants"]:
        word = "BAD" if one["exceptions"] else "ok "
        lines.append(f"{word} {one['held']:>9,} of {one['total']:<9,} {one['name']}")
        lines += [f"      {told[:300]}" for told in one["exceptions"]]
    for recovery in recovered:
        slowest, word = max(recovery.counted, default=0.0), "met" if recovery.met else "MISSED"
        times = f"{len(recovery.raw)} times, slowest {slowest:.1f} s of {recovery.goal:g} s"
        lines.append(f"{word:<7} {recovery.name}: {times}")
    left = {kind: counts["left_out"] for kind, counts in report["faults"].items() if counts["left_out"]}
    lines.append(f"faults that did not fit: {left or 'none'}")
    lines += [f"  {at} {who:<9} {what}" for at, who, what in report["first_violation"].get("timeline", ())]
    sys.stdout.write("\n".join([*lines, f"{report['violations']} violations. {page}\n"]))
