"""Which index fields a pipeline's document has, read from its pydantic model."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, FutureDate, FutureDatetime, NaiveDatetime, PastDate, PastDatetime

from application.ports.search_index import ENVELOPE, FieldType
from domain.errors import InvalidPipeline
from domain.pipeline import Pipeline

TEXT = "text"
"""The name under which an index keeps the words of all strings."""

# The first that fits: a bool is an int, too.
_TYPES: Sequence[tuple[type | tuple[type, ...], FieldType]] = (
    (bool, "boolean"),
    (int, "long"),
    ((float, Decimal), "double"),
    ((date, AwareDatetime, NaiveDatetime, PastDate, PastDatetime, FutureDate, FutureDatetime), "date"),
    ((str, UUID), "keyword"),
)


def fields_of(model: type[BaseModel]) -> dict[str, FieldType]:
    """The type of each field that a dump of the model has; optional ones and lists are of what they hold.

    Raises:
        InvalidPipeline: a field is of a type that no index can search, such as a model or a mapping.
    """
    annotations: dict[str, Any] = {
        name: field.annotation for name, field in model.model_fields.items() if not field.exclude
    }
    annotations |= {name: field.return_type for name, field in model.model_computed_fields.items()}
    fields: dict[str, FieldType] = {}
    for name, annotation in annotations.items():
        type_, *others = _types_of(annotation) or {None}
        if type_ is None or others:
            raise InvalidPipeline(
                f"{model.__name__}.{name} cannot be a field of the search index: it must be a string, a number, "
                f"true or false, a time, or a list of one of these, not {annotation}."
            )
        fields[name] = type_
    return fields


def union_of(pipelines: Iterable[Pipeline]) -> dict[str, FieldType]:
    """The fields of all documents, which share one index.

    Raises:
        InvalidPipeline: two pipelines disagree on a field, or a field has a name that every document uses.
    """
    union: dict[str, FieldType] = {}
    owners: dict[str, str] = {}
    for pipeline in pipelines:
        if pipeline.document_model is None:
            continue
        for name, type_ in fields_of(pipeline.document_model).items():
            if name in ENVELOPE or name == TEXT:
                raise InvalidPipeline(
                    f"The document of pipeline {pipeline.name!r} has a field {name!r}, a name that every document "
                    f"in the index uses already; so are {', '.join([*ENVELOPE, TEXT])}."
                )
            if union.setdefault(name, type_) != type_:
                raise InvalidPipeline(
                    f"Pipelines {owners[name]!r} and {pipeline.name!r} share one search index and disagree on "
                    f"field {name!r}: {union[name]} and {type_}. Rename one of them."
                )
            owners.setdefault(name, pipeline.name)
    return union


def _types_of(annotation: Any) -> set[FieldType | None]:
    """All types that values of the annotation have; None stands for one that cannot be searched."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _types_of(arguments[0])
    if origin in {Union, UnionType}:
        return {type_ for argument in arguments if argument is not NoneType for type_ in _types_of(argument)}
    if origin in {list, tuple, set, frozenset, Sequence}:
        inner = {type_ for argument in arguments if argument is not ... for type_ in _types_of(argument)}
        # A list in a list would need a field of its own.
        return {None} if any(get_origin(argument) in {list, tuple, set} for argument in arguments) else inner
    if origin is Literal:
        return {_type_of(type(value)) for value in arguments if value is not None}
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return {_type_of(type(member.value)) for member in annotation}
    return {_type_of(annotation)}


def _type_of(kind: Any) -> FieldType | None:
    found = (name for types, name in _TYPES if isinstance(kind, type) and issubclass(kind, types))
    return next(found, None)
