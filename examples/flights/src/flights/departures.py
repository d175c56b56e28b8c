"""The pipeline `flights`: status and ground speed of each recorded departure; asks for `flight.very_late`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from playhead import EmitEvent, Pipeline, TaskContext, node

LATE = 15.0
"""Minutes after its scheduled arrival from which a flight counts as late (US Bureau of Transportation Statistics)."""
VERY_LATE = 120.0
KM_PER_MILE = 1.609344

Status = Literal["cancelled", "diverted", "late", "on_time"]


class FlightRecorded(BaseModel):
    """One scheduled departure, as in the data set `nycflights13`.

    Times of day are local, as hhmm (517 is 5:17). Delays and `air_time` are in minutes, `distance` in miles.
    What a cancelled or diverted flight never had is null.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    year: int
    month: int = Field(ge=1, le=12)
    day: int = Field(ge=1, le=31)
    dep_time: int | None = Field(ge=0, le=2400)
    sched_dep_time: int = Field(ge=0, le=2400)
    dep_delay: float | None
    arr_time: int | None = Field(ge=0, le=2400)
    sched_arr_time: int = Field(ge=0, le=2400)
    arr_delay: float | None
    carrier: str
    flight: int
    tailnum: str | None
    origin: str
    dest: str
    air_time: float | None = Field(gt=0)
    distance: float = Field(gt=0)
    hour: int = Field(ge=0, le=24)
    minute: int = Field(ge=0, le=59)


class FlightDocument(BaseModel):
    """What can be searched; Playhead adds the event's own fields, its time among them."""

    carrier: str
    flight: int
    tailnum: str | None
    origin: str
    dest: str
    status: Status
    dep_delay: float | None
    arr_delay: float | None
    speed_kmh: float | None
    distance: float


@node
def status(context: TaskContext) -> Status:
    """What became of the flight."""
    flight: FlightRecorded = context.data
    if flight.dep_time is None:
        return "cancelled"
    if flight.arr_delay is None:
        return "diverted"
    return "late" if flight.arr_delay >= LATE else "on_time"


@node
def speed_kmh(context: TaskContext) -> float | None:
    """The mean speed over ground in km/h, to one decimal; None where the flight has no time in the air."""
    flight: FlightRecorded = context.data
    if flight.air_time is None:
        return None
    return round(flight.distance * KM_PER_MILE / (flight.air_time / 60), 1)


@node
def very_late(context: TaskContext) -> TaskContext:
    """Ask for a `flight.very_late` event where the flight came in two hours late or more."""
    flight: FlightRecorded = context.data
    if flight.arr_delay is None or flight.arr_delay < VERY_LATE:
        return context
    return context.declare(
        EmitEvent(
            type="flight.very_late",
            data={
                "flight_event_id": context.event.id,
                "carrier": flight.carrier,
                "origin": flight.origin,
                "dest": flight.dest,
                "arr_delay": flight.arr_delay,
            },
        )
    )


def document(context: TaskContext) -> FlightDocument:
    """What is searchable of a flight."""
    flight: FlightRecorded = context.data
    return FlightDocument(
        carrier=flight.carrier,
        flight=flight.flight,
        tailnum=flight.tailnum,
        origin=flight.origin,
        dest=flight.dest,
        status=context.outputs["status"],
        dep_delay=flight.dep_delay,
        arr_delay=flight.arr_delay,
        speed_kmh=context.outputs["speed_kmh"],
        distance=flight.distance,
    )


FLIGHTS = Pipeline(
    name="flights",
    accepts={"flight.recorded": FlightRecorded},
    nodes=(status, speed_kmh, very_late),
    document=document,
)
