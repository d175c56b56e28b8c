"""Stored data becomes a model in one function, so that old shapes are lifted for every reader alike."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from application.engine import Batch
from application.ports.claims import Claim
from application.subscription import of_pipeline
from application.use_cases.processing import Processor
from application.use_cases.schemas import check_schemas
from domain.context import TaskContext
from domain.events import RecordedEvent
from domain.pipeline import Pipeline, node
from domain.registry import PipelineRegistry
from infrastructure.memory.store import MemoryStore
from playhead import Schema
from playhead.testing import run
from tests.factories import NewEventFactory

ROOT = Path(__file__).parents[2]
PACKAGES = ("domain", "application", "infrastructure", "interfaces", "playhead")
MAKES_A_MODEL = {
    "model_validate", "model_validate_json", "model_validate_strings", "model_construct", "parse_obj", "parse_raw",
    "validate_python", "validate_json", "TypeAdapter",
}  # fmt: skip
NO_EVENTS_DATA = {
    "interfaces/http/bodies.py": "a request's body",
    "interfaces/http/replay_models.py": "an answer",
    "infrastructure/sql/replays.py": "a replay's selection",
    "infrastructure/sql/pipeline_codes.py": "a pipeline's code",
    "infrastructure/anchor_file.py": "a line of the anchor",
}
"""Files that make models of other things."""


def places(names: set[str]) -> Iterator[tuple[str, str]]:
    """The files, and the functions in them, that use an attribute or a name."""
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            for function in (
                each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
            ):
                for inner in ast.walk(function):
                    if getattr(inner, "attr", getattr(inner, "id", None)) in names:
                        yield file.relative_to(ROOT).as_posix(), function.name


def test_one_function_makes_a_model_of_an_events_data():
    used = {(file, function) for file, function in places(MAKES_A_MODEL) if file not in NO_EVENTS_DATA}

    assert used == {("domain/upcasting.py", "read")}


def test_one_function_runs_upcasters():
    used = set(places({"upcasters"})) - {
        ("domain/upcasting.py", "__post_init__"),
        ("domain/fingerprints.py", "code_of"),
        ("domain/fingerprints.py", "_makers"),
    }

    assert used == {("domain/upcasting.py", "_lifted")}


class Order(BaseModel):
    number: int


@node
def double(context: TaskContext) -> int:
    return 2 * context.data.number


OLD = '{"no": 21}'
ORDERS = Pipeline(
    "orders", {"order.placed": Schema(Order, version=2, upcasters={1: lambda data: {"number": data["no"]}})}, (double,)
)
REGISTRY = PipelineRegistry([ORDERS])


def stored(store: MemoryStore) -> RecordedEvent:
    store.events.append([NewEventFactory(data=OLD, schema_version=1)])
    [shape] = store.events.shapes()
    [event] = store.events.sample(shape, limit=2)
    return event


def processed(event: RecordedEvent, generation: int) -> TaskContext:
    claim = Claim(id=1, subscription="orders", first=1, last=1, attempt=0, deaths=0, fence=1)
    batch = Batch(claim=claim, subscription=of_pipeline("orders"), rows=[event], stopping=lambda: False)
    [outcome] = Processor(REGISTRY, generation=generation).process(batch)
    assert outcome.context is not None
    return TaskContext.from_json(outcome.context.context)


@pytest.mark.parametrize("generation", [0, 1])
def test_live_and_replay_see_old_data_lifted(generation: int):
    assert processed(stored(MemoryStore()), generation).outputs == {"double": 42}


def test_so_do_a_dry_run_a_users_test_and_the_check():
    store = MemoryStore()
    event = stored(store)
    [checked] = check_schemas(events=store.events, registry=REGISTRY)

    assert Processor(REGISTRY).dry_run(event)["outputs"] == run(ORDERS, OLD, schema_version=1).outputs == {"double": 42}
    assert (checked.checked, checked.failing) == (1, 0)
