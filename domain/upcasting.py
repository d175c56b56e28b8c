"""Upcasting: stored events of an old shape are lifted to today's, at the one place where data is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from domain.errors import Fault, InvalidEvent, InvalidPipeline, NewerSchema
from domain.json_faults import pointer
from domain.strict_json import decode

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns the data of one schema version into that of the next."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What an event type's data must be: a pydantic model at a version, and the upcasters that lead to it.

    `upcasters[n]` lifts data of version n to version n + 1; there must be one for each version before today's.
    """

    model: type[BaseModel]
    version: int = 1
    upcasters: Mapping[int, Upcaster] = field(default_factory=dict)

    def __post_init__(self) -> None:
        expected = set(range(1, self.version))
        if self.version < 1 or set(self.upcasters) != expected:
            raise InvalidPipeline(
                f"{self.model.__name__} is at version {self.version}: it needs one upcaster for each version "
                f"from 1 to {self.version - 1}, and has them for {sorted(self.upcasters) or 'none'}."
            )

    def read(self, data: str, version: int) -> BaseModel:
        """Read stored or sent data of a schema version as today's model.

        Raises:
            InvalidEvent: the data does not fit, with a pointer to each field.
            NewerSchema: the version is newer than this code.
        """
        if version > self.version:
            raise NewerSchema(f"Data of schema version {version}; this code knows {self.version}.")
        try:
            if version == self.version:
                return self.model.model_validate_json(data)
            value = decode(data)
            for step in range(version, self.version):
                value = self.upcasters[step](value)
            return self.model.model_validate(value)
        except ValidationError as error:
            raise _invalid(error) from error


def _invalid(error: ValidationError) -> InvalidEvent:
    faults = [
        Fault(pointer(["data", *item["loc"]]), item["type"], item["msg"])
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    places = "; ".join(f"{fault.pointer}: {fault.message}" for fault in faults[:5])
    return InvalidEvent(places, faults=faults)
