"""A comparison as one HTML page that needs nothing else: what differs, how often, when, and for example where."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from pydantic_core import to_json

from application.use_cases.comparing import Comparison, DifferenceClass

MAX_VALUE = 200
"""Characters of an example's value that are shown."""
VERDICTS = (
    ("identical", "identical", "#4c9f70"),
    ("equivalent", "equal but for what does not count", "#a8c7b5"),
    ("different", "different", "#d1603d"),
    ("without_live", "without a live result", "#8a8d91"),
)

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --ink: #d1603d; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p.sub { color: #888; margin: .2rem 0 1.4rem; }
.bar { display: flex; height: 1.6rem; border-radius: .3rem; overflow: hidden; background: var(--line); }
.key { display: flex; flex-wrap: wrap; gap: 1.4rem; margin: .7rem 0; }
.key b { font-variant-numeric: tabular-nums; }
.key i { display: inline-block; width: .8rem; height: .8rem; border-radius: .2rem; margin-right: .45rem; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; color: #888; font-size: .85rem; }
td, th { padding: .4rem .7rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font: .85rem ui-monospace, monospace; overflow-wrap: anywhere; }
.size { background: var(--ink); height: .5rem; border-radius: .25rem; min-width: 2px; }
del { color: #c0452c; text-decoration: none; } ins { color: #2f8a57; text-decoration: none; }
.days { display: flex; align-items: flex-end; gap: 2px; height: 9rem; border-bottom: 1px solid var(--line); }
.days div { flex: 1; background: var(--ink); min-height: 1px; border-radius: .15rem .15rem 0 0; }
.ends { display: flex; justify-content: space-between; color: #888; font-size: .85rem; }
"""


def comparison_page(
    comparison: Comparison, *, title: str, told: str, code: str, fingerprints: Mapping[str, Sequence[str]]
) -> str:
    """The page. `told` stands below the title; `code` says whose code the fingerprints, by pipeline, are."""
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="sub">{escape(told)}</p>',
        *_verdicts(comparison),
        *_days(comparison),
        *_classes(comparison),
        *_noise(comparison),
        *_code(code, fingerprints),
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</html>\n"
    )


def _verdicts(comparison: Comparison) -> Iterable[str]:
    counts = [(getattr(comparison, name), words, colour) for name, words, colour in VERDICTS]
    bar = "".join(f'<div style="flex:{count};background:{colour}"></div>' for count, _, colour in counts if count)
    yield f'<div class="bar">{bar}</div>'
    keys = "".join(
        f'<span><i style="background:{colour}"></i><b>{count:,}</b> {words}</span>' for count, words, colour in counts
    )
    yield f'<div class="key">{keys}</div>'


def _days(comparison: Comparison) -> Iterable[str]:
    days = sorted(comparison.different_by_day.items())
    if not days:
        return
    most = max(count for _, count in days)
    yield "<h2>Events that differ, by their day</h2>"
    bars = "".join(
        f'<div style="height:{100 * count / most:.1f}%" title="{day}: {count:,}"></div>' for day, count in days
    )
    yield f'<div class="days">{bars}</div>'
    yield f'<div class="ends"><span>{days[0][0]}</span><span>most: {most:,}</span><span>{days[-1][0]}</span></div>'


def _classes(comparison: Comparison) -> Iterable[str]:
    if not comparison.classes:
        return
    most = comparison.classes[0].events
    yield "<h2>What differs</h2><table><tr>"
    yield "".join(f"<th>{name}</th>" for name in ("events", "", "first at", "place", "change", "for example"))
    for one in comparison.classes:
        size = f'<div class="size" style="width:{6 * one.events / most:.2f}rem"></div>'
        example = f"<code>{escape(one.examples[0])}</code><br>{_values(one)}"
        yield (
            f'<tr><td class="n">{one.events:,}</td><td style="width:6rem;padding-top:.95rem">{size}</td>'
            f"<td>{escape(one.pipeline)}<br><b>{escape(one.node)}</b></td><td><code>{escape(one.place)}</code></td>"
            f"<td>{escape(one.words)}</td><td>{example}</td></tr>"
        )
    yield "</table>"


def _values(one: DifferenceClass) -> str:
    return f"<code><del>{_shown(one.old)}</del> → <ins>{_shown(one.new)}</ins></code>"


def _shown(value: Any) -> str:
    text = to_json(value).decode()
    return escape(text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…")


def _noise(comparison: Comparison) -> Iterable[str]:
    if comparison.noise:
        yield "<h2>Noise, which does not count</h2><p>These differ when the same code runs twice.</p><p>"
        yield "<br>".join(f"<code>{escape(place)}</code>" for place in comparison.noise) + "</p>"


def _code(code: str, fingerprints: Mapping[str, Sequence[str]]) -> Iterable[str]:
    yield f"<h2>Code</h2><table><tr><th>pipeline</th><th>fingerprint of {escape(code)}</th></tr>"
    for name, known in fingerprints.items():
        yield f"<tr><td>{escape(name)}</td><td><code>{escape(', '.join(known))}</code></td></tr>"
    yield "</table>"
