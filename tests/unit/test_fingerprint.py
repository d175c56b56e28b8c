"""The fingerprint of a pipeline: equal for equal code, another for any change."""

import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from domain.nodes import Branches, ElasticsearchIndexNode, Route
from domain.pipeline import FunctionNode
from domain.upcasting import Schema
from tests.unit.orders import Order, document, double, pipeline, plus_one


@dataclass(frozen=True)
class Scale:
    factor: int
    name: str = "scale"

    def __call__(self, context):
        return context.with_output(self.name, context.data.number * self.factor)


class OtherOrder(BaseModel):
    number: int
    note: str = ""


def triple(context):
    return 3 * context.data.number


def route_by(choose, **branches) -> Route:
    return Route("route", choose, {name: (inner,) for name, inner in branches.items()})


def test_equal_code_has_an_equal_fingerprint():
    assert pipeline(double, Scale(2), document=document).fingerprint == (
        pipeline(double, Scale(2), document=document).fingerprint
    )


def test_every_change_of_nodes_parameters_schema_or_document_changes_the_fingerprint():
    lifted = Schema(Order, version=2, upcasters={1: lambda data: data})
    otherwise_lifted = Schema(Order, version=2, upcasters={1: lambda data: {**data, "number": 0}})
    others = [
        pipeline(),
        pipeline(double),
        pipeline(plus_one, double),
        pipeline(double, plus_one),
        pipeline(FunctionNode("double", triple)),
        pipeline(FunctionNode("other", double.function)),
        pipeline(Scale(2)),
        pipeline(Scale(3)),
        pipeline(Scale(2, name="other")),
        pipeline(double, name="others"),
        pipeline(double, accepts={"order.sent": Order}),
        pipeline(double, accepts={"order.placed": OtherOrder}),
        pipeline(double, accepts={"order.placed": lifted}),
        pipeline(double, accepts={"order.placed": otherwise_lifted}),
        pipeline(double, document=document),
        pipeline(route_by(str, a=double)),
        pipeline(route_by(int, a=double)),
        pipeline(route_by(str, b=double)),
        pipeline(route_by(partial(getattr, "a"), a=double)),
        pipeline(route_by(partial(getattr, "b"), a=double)),
        pipeline(route_by(str, a=double, b=plus_one)),
        pipeline(route_by(str, a=plus_one, b=double)),
        pipeline(Branches("both", {"a": (double,), "b": (plus_one,)})),
        pipeline(Branches("both", {"a": (double, plus_one)})),
        pipeline(ElasticsearchIndexNode()),
        pipeline(ElasticsearchIndexNode(document)),
    ]

    assert len({other.fingerprint for other in others}) == len(others)


THEIRS = """
import re
from dataclasses import dataclass
from functools import partial
from pydantic import BaseModel
from playhead import Pipeline

class Order(BaseModel):
    number: int | str

class Table:
    pass

def among(wanted, context):
    return context.data.number in wanted

@dataclass(frozen=True)
class Choose:
    wanted: frozenset = frozenset("abcdefgh")
    among: object = partial(among, frozenset("abcdefgh"))
    measure: object = len
    table: object = Table()
    pattern: object = re.compile("a+")
    name: str = "choose"

    def __call__(self, context):
        return context

print(Pipeline(name="p", accepts={"t": Order}, nodes=(Choose(),)).fingerprint)
"""


def test_equal_code_has_an_equal_fingerprint_in_every_process(tmp_path):
    module = tmp_path / "theirs.py"
    module.write_text(THEIRS, encoding="utf-8")

    printed = {
        subprocess.run(
            [sys.executable, module],
            env={"PYTHONPATH": str(Path.cwd()), "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(printed) == 1
