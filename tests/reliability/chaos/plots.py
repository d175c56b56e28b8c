"""Plots: time runs to the right in all of them, faults are bands behind them and bars below. SVG, by hand."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from tests.reliability.chaos.faults import Happened

WIDTH, LEFT, RIGHT = 1080, 150, 12
COLOURS = {
    "worker": "#c2410c",
    "child": "#c2410c",
    "api": "#7c3aed",
    "beat": "#0f766e",
    "database": "#1d4ed8",
    "answer": "#0891b2",
    "broker": "#b91c1c",
    "search": "#a16207",
}
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """Where a time lies; `end` is the last second shown."""

    began: float
    end: float

    def x(self, second: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(max(second, 0.0), self.end) / self.end, 1)

    def ticks(self) -> list[int]:
        step = next(step for step in (5, 10, 15, 30, 60, 120, 300, 600) if self.end / step <= 16 or step == 600)
        return list(range(0, int(self.end) + 1, step))

    def marks(self, height: float) -> str:
        """A line for each tick of time."""
        return "".join(f'<path class="grid" d="M{self.x(t)} 0V{height}"/>' for t in self.ticks())

    def labels(self, y: float) -> str:
        return "".join(f'<text x="{self.x(t)}" y="{y}" text-anchor="middle">{_clock(t)}</text>' for t in self.ticks())


def _clock(second: float) -> str:
    return f"{int(second) // 60}:{int(second) % 60:02}"


def colour_of(kind: str) -> str:
    return COLOURS.get(kind.partition("-")[0], "#555")


def plot(
    title: str, axis: Axis, lines: Sequence[tuple[str, str, Points]], faults: Sequence[Happened], *, log: bool = False
) -> str:
    """One plot; each line is a name, a class of the style sheet, and points."""
    height = 150.0
    top = max((value for _, _, points in lines for _, value in points), default=1.0) or 1.0
    low, high = (1.0, 10 ** math.ceil(math.log10(max(top, 10.0)))) if log else (0.0, _round_up(top))
    steps = [10.0**n for n in range(int(math.log10(high)) + 1)] if log else [high * n / 4 for n in range(5)]

    def y(value: float) -> float:
        share = math.log10(max(value, 1.0)) / math.log10(high) if log else (value - low) / (high - low)
        return round(height - share * (height - 8), 1)

    grid = "".join(
        f'<path class="grid" d="M{LEFT} {y(value)}H{WIDTH - RIGHT}"/>'
        f'<text x="{LEFT - 8}" y="{y(value) + 4}" text-anchor="end">{value:,.0f}</text>'
        for value in steps
    )
    drawn = "".join(_line(css, axis, points, y) for _, css, points in lines)
    keys = " ".join(f'<span class="key {css}">{escape(name)}</span>' for name, css, _ in lines)
    return (
        f'<figure><figcaption>{escape(title)} {keys}</figcaption><svg viewBox="0 0 {WIDTH} {height + 20}" role="img">'
        f"{_bands(axis, faults, height)}{axis.marks(height)}{grid}{drawn}{axis.labels(height + 15)}</svg></figure>"
    )


def bars(axis: Axis, faults: Sequence[Happened]) -> str:
    """A row for each kind of fault, a bar for each fault."""
    kinds = sorted({fault.kind for fault in faults}, key=lambda kind: (colour_of(kind), kind))
    rows = {kind: 18 * number for number, kind in enumerate(kinds)}
    height = 18 * len(kinds)
    names = "".join(f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{kind}</text>' for kind, y in rows.items())
    drawn = "".join(
        f'<rect x="{axis.x(begin)}" y="{rows[fault.kind] + 3}" width="{max(3.0, axis.x(end) - axis.x(begin)):.1f}" '
        f'height="12" rx="2" fill="{colour_of(fault.kind)}"><title>{escape(_told(fault, begin, end))}</title></rect>'
        for fault in faults
        for begin, end in [_span(axis, fault)]
    )
    return (
        f'<figure><figcaption>Faults</figcaption><svg viewBox="0 0 {WIDTH} {height + 20}" role="img">'
        f"{axis.marks(height)}{names}{drawn}{axis.labels(height + 15)}</svg></figure>"
    )


def _told(fault: Happened, begin: float, end: float) -> str:
    return f"{fault.kind} {fault.victim} at {_clock(begin)}, {end - begin:.1f} s"


def _span(axis: Axis, fault: Happened) -> tuple[float, float]:
    return fault.began - axis.began, (fault.ended or fault.began) - axis.began


def _bands(axis: Axis, faults: Sequence[Happened], height: float) -> str:
    spans = [(_span(axis, fault), colour_of(fault.kind)) for fault in faults]
    return "".join(
        f'<rect x="{axis.x(begin)}" y="0" width="{max(1.5, axis.x(end) - axis.x(begin)):.1f}" height="{height}" '
        f'fill="{colour}" opacity="0.10"/>'
        for (begin, end), colour in spans
    )


def _line(css: str, axis: Axis, points: Points, y: Callable[[float], float]) -> str:
    path = " ".join(f"{axis.x(at)},{y(value)}" for at, value in points if at <= axis.end)
    return f'<polyline class="{css}" points="{path}"/>'


def _round_up(value: float) -> float:
    unit = 10 ** math.floor(math.log10(value))
    return float(next(unit * step for step in (1, 2, 4, 6, 8, 10) if unit * step >= value))
