"""The page of a report: one file, nothing to load, readable by day and by night."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tests.reliability.chaos.faults import Happened
from tests.reliability.chaos.figures import Recovery
from tests.reliability.chaos.plots import Axis, bars, colour_of, plot

_STYLE = """
:root { --ink: #1c1917; --dim: #78716c; --line: #e7e5e4; --paper: #fff; --good: #15803d; --bad: #b91c1c; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7e5e4; --dim: #a8a29e; --line: #44403c; --paper: #1c1917; --good: #4ade80; --bad: #f87171; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1080px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.verdict { font-weight: 600; } .good { color: var(--good); } .bad { color: var(--bad); } .dim { color: var(--dim); }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 500; color: var(--dim); }
th, td { padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
ul { margin: .25rem 0; padding-left: 1.2rem; } code { font: 13px ui-monospace, monospace; }
figure { margin: 1.25rem 0 0; } figcaption { font-weight: 500; }
svg { width: 100%; height: auto; overflow: visible; } svg text { font: 11px system-ui, sans-serif; fill: var(--dim); }
.grid { stroke: var(--line); stroke-width: 1; } polyline { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
polyline.a { stroke: #2563eb; } polyline.b { stroke: #d97706; }
.key { font-weight: 400; margin-left: .75rem; } .key::before { content: "—"; font-weight: 900; margin-right: .3rem; }
.key.a::before { color: #2563eb; } .key.b::before { color: #d97706; }
.chip { display: inline-block; width: .7rem; height: .7rem; border-radius: 2px; margin-right: .4rem; }
"""


def page_of(report: Mapping[str, Any], recovered: Sequence[Recovery], happened: Sequence[Happened]) -> str:
    """The whole page."""
    form, series = report["form"], report["series"]
    axis = Axis(report["began_at"], max(report["seconds"], 1.0))
    title = f"Chaos on {form['on']}: {form['events']:,} events, seed {form['seed']}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        _verdict(report),
        "<h2>What must hold</h2>",
        _invariants(report["invariants"]),
        _violation(report["first_violation"]),
        "<h2>Recovery, in seconds</h2>",
        _recoveries(recovered),
        "<h2>How it went</h2>",
        plot(
            "Waiting", axis, [("events", "a", series["waiting"]), ("contexts to index", "b", series["index"])], happened
        ),
        plot("Events accepted, a second", axis, [("202", "a", series["accepted"])], happened),
        plot(
            "Answer after, milliseconds",
            axis,
            [("median", "a", series["median"]), ("slowest", "b", series["slowest"])],
            happened,
            log=True,
        ),
        bars(axis, happened),
        "<h2>Faults</h2>",
        _faults(report["faults"]),
        "<h2>Figures</h2>",
        _pairs(report["requests"] | report["versions"]),
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>{"".join(parts)}</html>\n'
    )


def _verdict(report: Mapping[str, Any]) -> str:
    form, count = report["form"], report["violations"]
    told = f"{count} violations" if count else "Nothing was violated"
    settled = report["settled_after"]
    calm = "not settled within the calm" if settled is None else f"all done {settled:.1f} s after the last fault"
    return (
        f'<p><span class="verdict {"bad" if count else "good"}">{told}.</span> '
        f"{report['sent']:,} of {form['events']:,} events sent, {report['faults_done']} faults in "
        f"{form['minutes']:g} min, lease {form['lease']:g} s; {calm}. "
        f'<span class="dim">{escape(report["began"])}, playhead {escape(report["versions"]["playhead"])}.</span></p>'
    )


def _invariants(rows: Sequence[Mapping[str, Any]]) -> str:
    def row(one: Mapping[str, Any]) -> str:
        wrong = "".join(f"<li><code>{escape(told)}</code></li>" for told in one["exceptions"])
        css = "bad" if one["exceptions"] else "good"
        listed = f"<ul>{wrong}</ul>" if wrong else ""
        count = f"{one['held']:,} of {one['total']:,}"
        return f'<tr><td>{escape(one["name"])}{listed}</td><td class="n {css}">{count}</td></tr>'

    return f"<table>{''.join(map(row, rows))}</table>"


def _violation(found: Mapping[str, Any]) -> str:
    if not found:
        return ""
    lines = "".join(
        f"<tr><td><code>{escape(at)}</code></td><td>{escape(who)}</td><td>{escape(what)}</td></tr>"
        for at, who, what in found["timeline"]
    )
    told = f"{escape(found['invariant'])}: <code>{escape(found['told'])}</code>"
    return f"<h2>The first violation</h2><p>{told}</p><table>{lines}</table>"


def _recoveries(recovered: Sequence[Recovery]) -> str:
    head = "".join(
        f'<th class="n">{name}</th>' for name in ("times", "median", "slowest", "with others' time", "goal", "")
    )

    def row(one: Recovery) -> str:
        counted = sorted(one.counted) or [0.0]
        cells = (
            str(len(one.raw) + one.never), f"{counted[len(counted) // 2]:.1f}", f"{counted[-1]:.1f}",
            f"{max(one.raw, default=0.0):.1f}", f"{one.goal:g}",
        )  # fmt: skip
        word = f"{one.never} never" if one.never else ("met" if one.met else "missed") if one.raw else ""
        css = "good" if one.met else "bad"
        numbers = "".join(f'<td class="n">{cell}</td>' for cell in cells)
        return f'<tr><td>{escape(one.name)}</td>{numbers}<td class="{css}">{word}</td></tr>'

    return (
        f'<table><tr><th></th>{head}</tr>{"".join(map(row, recovered))}</table><p class="dim">Time in which another '
        "fault hindered it is not counted; it is in the column after.</p>"
    )


def _faults(rows: Mapping[str, Mapping[str, int]]) -> str:
    head = "".join(f'<th class="n">{name}</th>' for name in ("planned", "done", "did not fit"))
    body = "".join(
        f'<tr><td><span class="chip" style="background:{colour_of(kind)}"></span>{kind}</td>'
        + "".join(f'<td class="n">{counts[name]}</td>' for name in ("planned", "done", "left_out"))
        + "</tr>"
        for kind, counts in rows.items()
    )
    return f"<table><tr><th></th>{head}</tr>{body}</table>"


def _pairs(pairs: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="n">{escape(str(value))}</td></tr>' for name, value in pairs.items()
    )
    return f"<table>{rows}</table>"
