"""Upcasting: stored events of an old shape are lifted to today's, at the one place where data is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from domain.errors import Fault, InvalidEvent, InvalidPipeline, NewerSchema, UpcastFailed
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
        given: object = self.model
        if not isinstance(given, type) or not issubclass(given, BaseModel):
            raise InvalidPipeline(f"A schema is a pydantic model, not {given!r}.")
        expected = set(range(1, self.version))
        if self.version < 1 or set(self.upcasters) != expected:
            raise InvalidPipeline(
                f"{self.model.__name__} is at version {self.version}: it needs one upcaster for each version "
                f"from 1 to {self.version - 1}, and has them for {sorted(self.upcasters) or 'none'}."
            )
        for step, upcaster in self.upcasters.items():
            if not callable(upcaster):
                raise InvalidPipeline(
                    f"{self.model.__name__}: upcasters[{step}] is {upcaster!r}, which is no function."
                )

    def lifting(self, version: int) -> list[str]:
        """The names of the functions that lift data of a version to today's, in their order."""
        steps = (self.upcasters[step] for step in range(version, self.version))
        return [str(getattr(step, "__qualname__", type(step).__qualname__)) for step in steps]

    def read(self, type_: str, data: str, version: int) -> BaseModel:
        """Read stored or sent data of an event type and a schema version as today's model.

        Nothing else makes a model of an event's data; `Pipeline.read` leads here.

        Raises:
            InvalidEvent: the data does not fit, with a pointer to each field.
            NewerSchema: the version is newer than this code.
            UpcastFailed: an upcaster raised, or made what is no JSON object.
        """
        if version > self.version:
            raise NewerSchema(
                f"Data of {type_!r} in schema version {version}; this code knows versions up to {self.version}."
            )
        lifted = version < self.version
        try:
            # Lifted data is read as JSON too: a model is stricter with Python's values than with JSON's.
            return self.model.model_validate_json(self._lifted(type_, data, version) if lifted else data)
        except ValidationError as error:
            raise _invalid(error, f"{type_!r}, lifted from version {version}: " if lifted else "") from error

    def _lifted(self, type_: str, data: str, version: int) -> bytes:
        value = decode(data)
        for step in range(version, self.version):
            try:
                made: object = self.upcasters[step](value)
                if not isinstance(made, dict):
                    raise TypeError(f"an upcaster returns an object, not {type(made).__name__}")  # noqa: TRY301  # as if it had raised it
                # Each step is given what JSON can hold, as if the version before had been sent so.
                value = from_json(to_json(made), allow_inf_nan=False)
            except Exception as error:
                raise UpcastFailed(
                    f"The upcaster of {type_!r} from version {step} to {step + 1}, on data of version {version}, "
                    f"raised {type(error).__name__}: {error}"
                ) from error
        return to_json(value)


def _invalid(error: ValidationError, where: str) -> InvalidEvent:
    faults = [
        Fault(pointer(["data", *item["loc"]]), item["type"], item["msg"])
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    places = "; ".join(f"{fault.pointer}: {fault.message}" for fault in faults[:5])
    return InvalidEvent(where + places, faults=faults)
