"""The pictures of docs/performance.md, drawn from the figures that were kept beside them."""

import json
import statistics
from collections.abc import Sequence
from typing import Any

from scripts.benchmarks.figures import KEPT, Rounds
from scripts.benchmarks.head import compared, costs

_BLUE, _GREY, _RED = "#2563eb", "#9ca3af", "#dc2626"


def draw() -> None:
    """Draw all that there are figures of."""
    pictures = {"bulk": _bulk, "single": _single, "head": _head, "soak": _soak}
    for name, picture in pictures.items():
        if (KEPT / f"{name}.json").exists():
            picture(json.loads((KEPT / f"{name}.json").read_text())["rounds"])


def _bulk(found: Rounds) -> None:
    """Events a second, ours and theirs; and where the microseconds of an event go."""
    ended = {name: [row["events/s"] for row in rows] for name, rows in found.items()}
    _bars("bulk.png", ended, "events a second, from the first POST to the last context")
    ours = {name: rows for name, rows in found.items() if any(key.startswith("µs ") for key in rows[0])}
    parts = sorted({key[3:] for rows in ours.values() for row in rows for key in row if key.startswith("µs ")})
    shares = {
        part: [statistics.median(row.get(f"µs {part}", 0.0) for row in rows) for rows in ours.values()]
        for part in parts
    }
    _stacked("cpu.png", list(ours), {part: row for part, row in shares.items() if max(row) >= 1})


def _single(found: Rounds) -> None:
    """Requests a second by clients."""
    _bars(
        "single.png", {name: [row["requests/s"] for row in rows] for name, rows in found.items()}, "requests a second"
    )


def _head(found: Rounds) -> None:
    """What a log takes by batch, and what the model of docs/scaling.md says of it."""
    once = {name: rows[0] for name, rows in found.items()}
    figure, axes = _axes(6)
    a_commit, an_event = costs(once)
    batches = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    axes.plot(batches, [each / (a_commit + each * an_event) for each in batches], color=_GREY, label="the model")
    axes.axhline(1 / an_event, color=_RED, linewidth=1, linestyle="--", label="its ceiling")
    for batch, (seen, _) in compared(once).items():
        axes.plot([batch], [seen], "o", color=_BLUE, label="measured" if batch == 1 else None)
    axes.set(xscale="log", yscale="log", xlabel="events a commit", ylabel="events a second, one log")
    axes.legend(fontsize=8, frameon=False)
    _save(figure, "head.png")


def _soak(found: Rounds) -> None:
    """Memory, and dead rows of what is updated in place, over half an hour."""
    [samples] = found.values()
    minutes = [each["minutes"] for each in samples]
    figure, axes = _axes(6)
    for name in samples[-1]:
        if name.endswith("Rss MiB"):
            axes.plot(minutes, [each.get(name) for each in samples], label=name.removesuffix(" Rss MiB"))
    dead = axes.twinx()
    dead.plot(minutes, [each["claims dead"] for each in samples], color=_GREY, linewidth=0.8)
    dead.set_ylabel("dead rows of claims", color=_GREY)
    dead.set_ylim(0, 3 * max(each["claims dead"] for each in samples))
    axes.set(xlabel="minutes at 2,000 events a second", ylabel="resident, MiB", ylim=(0, 180))
    axes.legend(fontsize=8, frameon=False, loc="upper left", ncols=4)
    _save(figure, "soak.png")


def _bars(name: str, values: dict[str, list[float]], label: str) -> None:
    figure, axes = _axes(len(values))
    names = list(values)[::-1]
    medians = [statistics.median(values[each]) for each in names]
    colours = [_BLUE if each.startswith(("scale", "embedded")) else _GREY for each in names]
    axes.barh(names, medians, color=colours)
    for row, each in enumerate(names):
        axes.plot([min(values[each]), max(values[each])], [row, row], color=_RED, linewidth=1.5)
        axes.text(max(values[each]), row, f" {medians[row]:,.0f}", va="center", fontsize=9)
    axes.set_xlabel(label)
    axes.set_xlim(0, 1.15 * max(max(each) for each in values.values()))
    _save(figure, name)


def _stacked(name: str, rows: Sequence[str], parts: dict[str, list[float]]) -> None:
    figure, axes = _axes(len(rows))
    left = [0.0] * len(rows)
    for part, values in parts.items():
        axes.barh(list(rows), values, left=left, label=part)
        left = [before + value for before, value in zip(left, values, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("µs of CPU an event")
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.4, -0.25), ncols=4, frameon=False)
    _save(figure, name)


def _axes(rows: int) -> tuple[Any, Any]:
    from matplotlib import pyplot as plt  # noqa: PLC0415  # it takes a second

    figure, axes = plt.subplots(figsize=(8, 0.6 + 0.42 * rows), dpi=120)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Any, name: str) -> None:
    figure.savefig(KEPT / name, bbox_inches="tight", metadata={"Software": None})
