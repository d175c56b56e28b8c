"""The plan of a run's faults: which, when, for how long; the same for the same seed. Pure."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.reliability.chaos.form import Form

FULL = 100_000
"""The number of events that the counts of the table are for."""
_GAP = 1.0
_RESTART = 5.0


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: how many there are among 100,000 events, at least how many, and how long one is expected."""

    full: int
    least: int
    seconds: Callable[[Form], float]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is planned: `at` is in seconds from the beginning, `draw` chooses its victim."""

    kind: str
    at: float
    seconds: float
    draw: float


def _for(seconds: float) -> Callable[[Form], float]:
    return lambda _: seconds


def _beyond_the_lease(form: Form) -> float:
    return form.lease + 2


_AT_SCALE = {
    "worker-kill": Kind(50, 2, _for(_RESTART)),
    "child-kill": Kind(10, 1, _for(0.5)),
    "api-kill": Kind(20, 1, _for(_RESTART)),
    "beat-kill": Kind(10, 1, _for(_RESTART)),
    "worker-stop": Kind(10, 1, _beyond_the_lease),
    "api-stop": Kind(5, 1, _beyond_the_lease),
    "database-stop": Kind(10, 1, _for(4.0)),
    "database-cut": Kind(5, 1, _for(0.1)),
    "database-stall": Kind(3, 1, _for(4.0)),
    "answer-lost": Kind(10, 2, _for(3.0)),
    "broker-cut": Kind(5, 1, _for(0.1)),
    "broker-stall": Kind(3, 1, _for(4.0)),
    "search-cut": Kind(2, 1, _for(0.1)),
    "search-stall": Kind(2, 1, _for(4.0)),
    "search-away": Kind(1, 1, lambda form: min(60.0, form.seconds / 8)),
}
KINDS: Mapping[str, Mapping[str, Kind]] = {
    "postgres-redis": {
        **_AT_SCALE,
        "broker-flush": Kind(5, 1, _for(0.1)),
        "broker-kill": Kind(10, 1, _for(2.0)),
    },
    "postgres-rabbitmq": {**_AT_SCALE, "broker-kill": Kind(15, 2, _for(14.0))},
    "embedded": {
        "api-kill": Kind(150, 2, _for(_RESTART)),
        "api-stop": Kind(25, 1, _beyond_the_lease),
        "answer-lost": Kind(50, 2, _for(3.0)),
        "api-cut": Kind(25, 1, _for(0.1)),
        "api-stall": Kind(15, 1, _for(4.0)),
    },
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Two tracks of faults, each with one at a time, so that at most two are at once; and what did not fit."""

    tracks: tuple[Sequence[Fault], Sequence[Fault]]
    left_out: Mapping[str, int]

    @property
    def faults(self) -> list[Fault]:
        """All of them, by time."""
        return sorted((fault for track in self.tracks for fault in track), key=lambda fault: fault.at)


def plan_of(form: Form) -> Plan:
    """Draw the faults of a run: as many of each kind as its events ask for, as far as they fit into its minutes."""
    draw = random.Random(f"faults {form.seed}")
    kinds = KINDS[form.on]
    wanted = Counter({name: max(kind.least, round(kind.full * form.events / FULL)) for name, kind in kinds.items()})
    lengths = {name: kind.seconds(form) for name, kind in kinds.items()}
    begin, end = form.seconds * 0.05, form.seconds * 0.95
    chosen = Counter(wanted)
    while True:
        names = sorted(chosen.elements())
        draw.shuffle(names)
        tracks = _dealt(names, lengths)
        if all(sum(lengths[name] + _GAP for name in track) <= end - begin for track in tracks):
            break
        # What there is most of loses one; where all are rare, the longest.
        least = max(chosen, key=lambda name: (chosen[name], lengths[name]))
        chosen -= Counter({least: 1})
    placed = tuple(_placed(track, lengths, begin, end, draw) for track in tracks)
    return Plan(tracks=(placed[0], placed[1]), left_out=dict(wanted - chosen))


def _dealt(names: Sequence[str], lengths: Mapping[str, float]) -> tuple[list[str], list[str]]:
    """Each to the track that is shorter so far."""
    tracks: tuple[list[str], list[str]] = [], []
    ends = [0.0, 0.0]
    for name in names:
        track = ends.index(min(ends))
        tracks[track].append(name)
        ends[track] += lengths[name] + _GAP
    return tracks


def _placed(
    names: Sequence[str], lengths: Mapping[str, float], begin: float, end: float, draw: random.Random
) -> Sequence[Fault]:
    """One after the other, the time that is left spread evenly at random between them."""
    spare = end - begin - sum(lengths[name] + _GAP for name in names)
    cuts = [0.0, *sorted(draw.random() * spare for _ in names)]
    faults, at = [], begin
    for name, (before, after) in zip(names, pairwise(cuts), strict=True):
        at += after - before
        faults.append(Fault(kind=name, at=round(at, 2), seconds=lengths[name], draw=draw.random()))
        at += lengths[name] + _GAP
    return faults
