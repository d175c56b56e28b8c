"""`scripts/bench`: what is measured, by name. Without a name all that docs/performance.md sets goals for."""

import argparse
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from infrastructure import logging
from scripts.benchmarks import bulk, growth, head, indexing, limits, reading, single, soak, start
from scripts.benchmarks.figures import Figures, Rounds, keep, measured, ratios, spread, tell
from scripts.benchmarks.plots import draw

MODES = ("embedded", "scale")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three minutes: ratios alone, which the tests bound")
    verbs = parser.add_subparsers(dest="verb")
    for name, (_, told) in GOALS.items():
        verb = verbs.add_parser(name, help=told)
        verb.add_argument("--rounds", type=int, default=3)
    replay = verbs.add_parser("replay", help="a year replayed; live traffic alone, and beside a replay at full speed")
    replay.add_argument("--what", choices=["year", "beside"], help="default: both")
    replay.add_argument("--months", type=int, default=12, help="how many months the year has")
    replay.add_argument("--on", action="append", choices=MODES, help="default: both")
    replay.add_argument("--rounds", type=int, default=3)
    replay.add_argument("--workers", type=int, default=1)
    for name, told in (
        ("seals", "the month with and without sealing, and how long `verify` takes"),
        ("corpus", "how long an export and a check of the corpus take"),
    ):
        verbs.add_parser(name, help=told).add_argument("--rounds", type=int, default=5)
    explain = verbs.add_parser("explain", help="how long `explain` takes among many stored events")
    explain.add_argument("--on", action="append", choices=["sqlite", "postgres"], help="default: both")
    explain.add_argument("--events", type=int, default=1_000_000)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    logging.configure("json", "warning")
    if options.quick:
        sys.exit(quick())
    chosen = [options.verb] if options.verb else list(GOALS)
    if set(chosen) <= set(GOALS):
        for name in chosen:
            GOALS[name][0](getattr(options, "rounds", 3))
        draw()
    else:
        OTHERS[options.verb](options)


def measure_bulk(rounds: int) -> None:
    from scripts.benchmarks.peers.contenders import job_queues, plain  # noqa: PLC0415  # they need more packages

    months = 8
    found = measured(
        {
            **bulk.contenders(months),
            "plain design, 16 clients": partial(plain, 16, seconds=8),
            **job_queues(20_000),
            "COPY": partial(limits.copy, months),
        },
        rounds,
    )
    tell(found)
    for peer in found:
        if peer not in bulk.contenders(0):
            print(f"{'scale / ' + peer:40} {spread(ratios(found['scale'], found[peer], 'events/s'), 1)}")
    pairs = zip(found["scale"], found["COPY"], strict=True)
    print(f"{'accepted / COPY':40} {spread([ours['accepted/s'] / copied['events/s'] for ours, copied in pairs], 2)}")
    keep("bulk", found)


def measure_single(rounds: int) -> None:
    from scripts.benchmarks.peers.contenders import plain  # noqa: PLC0415  # see above

    contenders: dict[str, Callable[[], Figures]] = {}
    for clients in single.CLIENTS:
        contenders[f"scale, {clients}"] = partial(single.posts, "scale", clients)
        contenders[f"plain design, {clients}"] = partial(plain, clients, seconds=single.SECONDS)
    contenders["embedded, 16"] = partial(single.posts, "embedded", 16)
    found = measured(contenders, rounds)
    tell(found, _MS)
    for clients in single.CLIENTS:
        times = ratios(found[f"scale, {clients}"], found[f"plain design, {clients}"], "requests/s")
        print(f"scale / plain design, {clients:2} clients: {spread(times, 1)}")
    keep("single", found)


_MS = {"p50 ms": 1, "p99 ms": 1, "ms": 0}


def measure_idle(rounds: int) -> None:
    found = measured({mode: partial(single.idle, mode) for mode in MODES}, rounds)
    tell(found, _MS)
    keep("idle", found)


def measure_index(rounds: int) -> None:
    found: Rounds = {"indexer": [], "raw _bulk": []}
    for _ in range(rounds):
        for name, figures in indexing.backlog(6).items():
            found[name].append(figures)
    tell(found)
    print(f"indexer / raw _bulk {spread(ratios(found['indexer'], found['raw _bulk'], 'documents/s'), 2)}")
    keep("index", found)


def measure_reading(_: int) -> None:
    found = {f"{mode}, {name}": [figures] for mode in MODES for name, figures in reading.pages(mode).items()}
    tell(found, _MS)
    keep("reading", found)


def measure_head(_: int) -> None:
    once = head.appends()
    found = {name: [figures] for name, figures in once.items()}
    tell(found)
    a_commit, an_event = head.costs(once)
    print(f"a commit {1e6 * a_commit:.0f} µs, an event {1e6 * an_event:.1f} µs: at most {1 / an_event:,.0f} events/s")
    for batch, (seen, said) in head.compared(once).items():
        print(f"{batch:3} a commit: {seen:,.0f} events/s, {said:,.0f} by that")
    keep("head", found)


def measure_growth(rounds: int) -> None:
    with ExitStack() as stack:
        found = measured(growth.contenders(stack), rounds)
    tell(found)
    few, many = found
    print(f"{many} / {few} {spread(ratios(found[many], found[few], 'events/s'), 2)}")
    keep("growth", found)


def measure_soak(_: int) -> None:
    found = soak.steady(soak.MINUTES)
    [samples] = found.values()
    for name in samples[-1]:
        if name.endswith(("MiB", "KiB", "dead", "backlog")):
            values = [sample[name] for sample in samples]
            told = f"{values[0]:,.1f} to {values[-1]:,.1f}, at most {max(values):,.1f}"
            print(f"{name:24} {told}; {soak.growth_of(samples, name):+.2f} in ten minutes")
    keep("soak", found)


def measure_start(rounds: int) -> None:
    found = measured(start.contenders(), max(rounds, 7))
    tell(found)
    keep("start", found)


GOALS: dict[str, tuple[Callable[[int], None], str]] = {
    "bulk": (measure_bulk, "batches until the last context, beside job queues and COPY"),
    "single": (measure_single, "one event a request, beside the plain design"),
    "idle": (measure_idle, "from a POST to its context while nothing else happens"),
    "index": (measure_index, "a full backlog of contexts, beside raw bulk requests"),
    "reading": (measure_reading, "pages of a million events, and of a search"),
    "head": (measure_head, "what a log takes of processes that append at once"),
    "growth": (measure_growth, "batches on top of a hundred thousand events, and of five million"),
    "soak": (measure_soak, "half an hour of a steady stream: memory, dead rows"),
    "start": (measure_start, "how long the commands take to start"),
}


def _replay(options: argparse.Namespace) -> None:
    from scripts.benchmarks.beside import measure_replay  # noqa: PLC0415  # it changes what warns
    from scripts.benchmarks.year import measure_year  # noqa: PLC0415  # see above

    modes = options.on or list(MODES)
    if options.what != "beside":
        measure_year(modes, options.rounds, options.months)
    if options.what != "year":
        measure_replay(modes, options.rounds, options.workers)


def _seals(options: argparse.Namespace) -> None:
    from scripts.benchmarks.seals import measure_seals  # noqa: PLC0415  # see above

    measure_seals(list(MODES), options.rounds)


def _corpus(options: argparse.Namespace) -> None:
    from scripts.benchmarks.corpus import measure_corpus  # noqa: PLC0415  # see above

    measure_corpus(options.rounds)


def _explain(options: argparse.Namespace) -> None:
    from scripts.benchmarks.explain import measure_explain  # noqa: PLC0415  # see above

    measure_explain(options.on or ["sqlite", "postgres"], options.events)


OTHERS = {"replay": _replay, "seals": _seals, "corpus": _corpus, "explain": _explain}

FLOORS = {
    "scale / plain design": 12.0,
    "accepted / COPY": 0.08,
    "embedded / plain design": 5.0,
    "single, 64 clients / plain design": 3.0,
    "to the index / to the context": 0.12,
}
"""What `--quick` demands: a quarter of what a quiet machine gives, so that only a loss by several times is seen."""


def quick() -> int:
    """Measure ratios once, in at most three minutes; 1 where one is below its floor."""
    from scripts.benchmarks.peers.contenders import plain  # noqa: PLC0415  # see above

    theirs = plain(16, seconds=5)
    ours, embedded = bulk.one_run("scale", months=2), bulk.one_run("embedded")
    singles = single.posts("scale", 64, seconds=4)
    found = {
        "scale / plain design": ours["events/s"] / theirs["events/s"],
        "accepted / COPY": ours["accepted/s"] / limits.copy(2)["events/s"],
        "embedded / plain design": embedded["events/s"] / theirs["events/s"],
        "single, 64 clients / plain design": singles["requests/s"] / theirs["requests/s"],
        "to the index / to the context": ours["events/s to the index"] / ours["events/s"],
    }
    for name, ratio in found.items():
        print(f"{name:40} {ratio:8.2f}, at least {FLOORS[name]}{'' if ratio >= FLOORS[name] else '  TOO LOW'}")
    return int(any(ratio < FLOORS[name] for name, ratio in found.items()))


if __name__ == "__main__":
    main()
