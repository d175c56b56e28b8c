"""Which index fields a document's model has."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AwareDatetime, BaseModel, Field, NonNegativeInt, computed_field, create_model

from application.document_fields import fields_of, union_of
from domain.context import TaskContext
from domain.errors import InvalidPipeline
from domain.pipeline import Pipeline


class Colour(Enum):
    RED = "red"


class StrColour(str, Enum):  # noqa: UP042  # the older spelling is common
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Mixed(Enum):
    ONE = 1
    TWO = "two"


class Inner(BaseModel):
    name: str


@pytest.mark.parametrize(
    ("annotation", "type_"),
    [
        (str, "keyword"),
        (UUID, "keyword"),
        (Colour, "keyword"),
        (StrColour, "keyword"),
        (Literal["a", "b"], "keyword"),
        (int, "long"),
        (Level, "long"),
        (Literal[1, 2], "long"),
        (NonNegativeInt, "long"),
        (float, "double"),
        (Decimal, "double"),
        (bool, "boolean"),
        (Literal[True], "boolean"),
        (datetime, "date"),
        (date, "date"),
        (AwareDatetime, "date"),
        (str | None, "keyword"),
        (Annotated[float, Field(ge=0)] | None, "double"),
        (list[str], "keyword"),
        (list[int] | None, "long"),
        (list[float | None], "double"),
        (tuple[int, ...], "long"),
        (set[Colour], "keyword"),
        (str | list[str], "keyword"),
    ],
)
def test_a_field_of_this_kind_has_this_type(annotation, type_):
    assert fields_of(create_model("Document", field=(annotation, ...))) == {"field": type_}


@pytest.mark.parametrize(
    "annotation",
    [Inner, dict[str, int], Any, object, bytes, timedelta, int | str, Mixed, list[Inner], list[list[int]], list, None],
)
def test_a_field_that_no_index_can_search_is_refused_by_name(annotation):
    with pytest.raises(InvalidPipeline, match=r"Document\.odd "):
        fields_of(create_model("Document", odd=(annotation, ...)))


def test_the_fields_are_those_of_a_dump():
    class Document(BaseModel):
        distance: float
        secret: str = Field(exclude=True)

        @computed_field
        @property
        def far(self) -> bool:
            return self.distance > 1_000

    assert fields_of(Document) == {"distance": "double", "far": "boolean"}
    assert Document(distance=1, secret="x").model_dump().keys() == fields_of(Document).keys()


def pipeline(name, **fields):
    model = create_model("Document", **{field: (type_, ...) for field, type_ in fields.items()})

    def document(context: TaskContext):
        raise NotImplementedError

    document.__annotations__["return"] = model
    return Pipeline(name, accepts={name: Inner}, document=document)


def test_pipelines_share_the_fields_they_agree_on():
    plain = Pipeline("plain", accepts={"plain": Inner})
    pipelines = [pipeline("one", carrier=str, delay=float), plain, pipeline("two", carrier=str | None, band=str)]
    assert union_of(pipelines) == {"carrier": "keyword", "delay": "double", "band": "keyword"}


def test_pipelines_that_disagree_are_both_named():
    with pytest.raises(InvalidPipeline, match=r"'one' and 'three'.*'delay': double and keyword"):
        union_of([pipeline("one", delay=float), pipeline("two", band=str), pipeline("three", delay=str)])


@pytest.mark.parametrize("name", ["time", "event_id", "text"])
def test_a_name_that_every_document_uses_is_refused(name):
    with pytest.raises(InvalidPipeline, match=f"'one' has a field '{name}'"):
        union_of([pipeline("one", **{name: str})])
