"""Weather: which faults a seed brings, and how often. Each seed has some of them, so that each is also met alone."""

from dataclasses import dataclass, fields
from random import Random


@dataclass(slots=True, kw_only=True)
class Weather:
    """Probabilities: of a bell, of a call through a port, or (`gusts`) of what happens every now and then."""

    bells_dropped: float = 0.0
    bells_doubled: float = 0.0
    bells_delayed: float = 0.0
    bells_forged: float = 0.0
    """Of a gust."""
    broker_emptied: float = 0.0
    """Of a gust."""
    crashes: float = 0.0
    """Of a call: the process that makes it is gone."""
    pauses: float = 0.0
    """Of a call: the process that makes it stands still, often for longer than its lease."""
    kills: float = 0.0
    """Of a gust: any process is gone, wherever it is."""
    database_before: float = 0.0
    """Of a call: it is not carried out, and fails."""
    database_after: float = 0.0
    """Of a call: it is carried out, and fails."""
    database_away: float = 0.0
    """Of a gust: for some seconds every call fails."""
    search_before: float = 0.0
    search_after: float = 0.0
    search_away: float = 0.0
    index_deleted: float = 0.0
    """Of a gust."""
    skew: float = 0.0
    """The most seconds by which a process's clock is wrong."""


RANGES = {
    "bells_dropped": 0.9,
    "bells_doubled": 0.5,
    "bells_delayed": 0.5,
    "bells_forged": 0.5,
    "broker_emptied": 0.3,
    "crashes": 0.02,
    "pauses": 0.06,
    "kills": 0.3,
    "database_before": 0.05,
    "database_after": 0.05,
    "database_away": 0.1,
    "search_before": 0.3,
    "search_after": 0.3,
    "search_away": 0.2,
    "index_deleted": 0.1,
    "skew": 3600.0,
}
"""The most that each may be."""


def drawn(random: Random) -> Weather:
    """The weather of a seed: about half of the faults, each as frequent as may be."""
    weather = Weather()
    for name, most in RANGES.items():
        if random.random() < 0.5:
            setattr(weather, name, most * random.random())
    return weather


def names() -> list[str]:
    """Every fault there is."""
    return [field.name for field in fields(Weather)]
