"""The pipeline `very_late`: puts flights that came in two hours late or more into bands."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from playhead import Pipeline, TaskContext, node

Band = Literal["120-179", "180-299", "300+"]


class FlightVeryLate(BaseModel):
    """What the pipeline `flights` says of such a flight; `arr_delay` is in minutes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    flight_event_id: str
    carrier: str
    origin: str
    dest: str
    arr_delay: float = Field(ge=120)


class VeryLateDocument(BaseModel):
    """What can be searched; `flight_event_id` leads to the flight's own result."""

    flight_event_id: str
    carrier: str
    origin: str
    dest: str
    arr_delay: float
    band: Band


@node
def band(context: TaskContext) -> Band:
    """The band, in minutes, that the delay falls into."""
    late: FlightVeryLate = context.data
    if late.arr_delay < 180:
        return "120-179"
    return "180-299" if late.arr_delay < 300 else "300+"


def document(context: TaskContext) -> VeryLateDocument:
    """What is searchable of a very late flight."""
    late: FlightVeryLate = context.data
    return VeryLateDocument(
        flight_event_id=late.flight_event_id,
        carrier=late.carrier,
        origin=late.origin,
        dest=late.dest,
        arr_delay=late.arr_delay,
        band=context.outputs["band"],
    )


VERY_LATE = Pipeline(
    name="very_late",
    accepts={"flight.very_late": FlightVeryLate},
    nodes=(band,),
    document=document,
)
