"""Flights: what became of each departure from New York, and which ones came in very late.

Playhead finds `PIPELINES` through the entry point that this package's pyproject.toml names.
"""

from flights.departures import FLIGHTS
from flights.very_late import VERY_LATE

PIPELINES = (FLIGHTS, VERY_LATE)
