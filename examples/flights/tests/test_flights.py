"""The pipelines, run without any service: first single flights, then the whole month that is bundled."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from flights import PIPELINES
from flights.departures import FLIGHTS
from flights.very_late import VERY_LATE

from playhead import EmitEvent, PipelineRegistry, TaskContext
from playhead.testing import InvalidEvent, run

MONTH = Path(__file__).parents[1] / "data" / "flights-2013-01.ndjson.gz"
FLIGHT = {
    "year": 2013,
    "month": 1,
    "day": 1,
    "dep_time": 517,
    "sched_dep_time": 515,
    "dep_delay": 2.0,
    "arr_time": 830,
    "sched_arr_time": 819,
    "arr_delay": 11.0,
    "carrier": "UA",
    "flight": 1545,
    "tailnum": "N14228",
    "origin": "EWR",
    "dest": "IAH",
    "air_time": 227.0,
    "distance": 1400.0,
    "hour": 5,
    "minute": 15,
}


def flown(**changed: Any) -> TaskContext:
    return run(FLIGHTS, FLIGHT | changed)


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"dep_time": None, "arr_delay": None}, "cancelled"),
        ({"arr_delay": None}, "diverted"),
        ({"arr_delay": 15.0}, "late"),
        ({"arr_delay": 14.0}, "on_time"),
        ({"arr_delay": -30.0}, "on_time"),
    ],
)
def test_a_flight_has_the_status_of_what_became_of_it(changed, status):
    assert flown(**changed).outputs["status"] == status


def test_the_speed_is_distance_over_time_in_the_air():
    # 1400 miles are 2253.0816 km, flown in 227 minutes.
    assert flown().outputs["speed_kmh"] == 595.5
    assert flown(air_time=None).outputs["speed_kmh"] is None


@pytest.mark.parametrize(("arr_delay", "asked"), [(119.0, 0), (120.0, 1), (851.0, 1), (None, 0)])
def test_a_flight_two_hours_late_asks_for_a_follow_up(arr_delay, asked):
    context = flown(arr_delay=arr_delay)

    assert len(context.effects) == asked
    for effect in context.effects:
        assert isinstance(effect, EmitEvent)
        assert effect.type == "flight.very_late"
        assert effect.data == {
            "flight_event_id": context.event.id,
            "carrier": "UA",
            "origin": "EWR",
            "dest": "IAH",
            "arr_delay": arr_delay,
        }


def test_a_follow_up_is_an_event_that_the_second_pipeline_accepts():
    [effect] = flown(arr_delay=180.0).effects

    accepting = PipelineRegistry(PIPELINES).pipeline_for(effect.type)

    assert accepting is VERY_LATE
    assert run(accepting, effect.data).outputs["band"] == "180-299"


@pytest.mark.parametrize(
    ("arr_delay", "band"),
    [(120, "120-179"), (179.5, "120-179"), (180, "180-299"), (299, "180-299"), (300, "300+"), (1272, "300+")],
)
def test_a_very_late_flight_is_put_into_a_band(arr_delay, band):
    late = {"flight_event_id": "e", "carrier": "UA", "origin": "EWR", "dest": "IAH", "arr_delay": arr_delay}

    assert run(VERY_LATE, late).outputs["band"] == band


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"carrier": 7}, "/data/carrier"),
        ({"flight": "1545"}, "/data/flight"),
        ({"air_time": 0.0}, "/data/air_time"),
        ({"gate": "C12"}, "/data/gate"),
    ],
)
def test_data_of_another_shape_is_refused_with_a_pointer(changed, place):
    with pytest.raises(InvalidEvent) as refused:
        flown(**changed)

    assert [fault.pointer for fault in refused.value.faults] == [place]


def test_the_documents_say_what_is_searched_for():
    flight, late = flown(), run(VERY_LATE, flown(arr_delay=130.0).effects[0].data)

    assert FLIGHTS.document(flight).model_dump() == {
        "carrier": "UA",
        "flight": 1545,
        "tailnum": "N14228",
        "origin": "EWR",
        "dest": "IAH",
        "status": "on_time",
        "dep_delay": 2.0,
        "arr_delay": 11.0,
        "speed_kmh": 595.5,
        "distance": 1400.0,
    }
    assert VERY_LATE.document(late).band == "120-179"


def test_the_whole_month_runs_and_its_counts_are_those_of_the_raw_data():
    with gzip.open(MONTH, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line)["data"] for line in lines]

    contexts = [run(FLIGHTS, row, position=position) for position, row in enumerate(rows, 1)]
    bands = Counter(run(VERY_LATE, effect.data).outputs["band"] for context in contexts for effect in context.effects)

    assert len(rows) == 27_004
    # Counted from the raw lines with grep, not with this code.
    assert Counter(context.outputs["status"] for context in contexts) == {
        "on_time": 20_197,
        "late": 6_201,
        "cancelled": 521,
        "diverted": 85,
    }
    assert bands == {"120-179": 417, "180-299": 184, "300+": 25}
