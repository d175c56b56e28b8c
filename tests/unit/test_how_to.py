"""The pages' own Python runs as it stands."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from domain.registry import PipelineRegistry
from playhead.testing import run

PAGES = Path(__file__).resolve().parents[2] / "docs/how-to"


def test_the_pipeline_of_the_how_to_runs_and_passes_its_own_test(monkeypatch: pytest.MonkeyPatch) -> None:
    pipelines, its_test, upcaster = re.findall(
        r"```python\n(.*?)```", (PAGES / "write-a-pipeline.md").read_text(), re.DOTALL
    )
    shop = ModuleType("shop.pipelines")
    monkeypatch.setitem(sys.modules, "shop", ModuleType("shop"))
    monkeypatch.setitem(sys.modules, "shop.pipelines", shop)

    exec(pipelines, shop.__dict__)  # our own page
    tests = {"__name__": "tests"}
    exec(its_test, tests)
    [test] = [value for name, value in tests.items() if name.startswith("test_")]
    test()  # type: ignore[operator]
    [effect] = run(shop.ORDERS, {"order_id": "8", "amounts": [2500.0]}).effects
    assert PipelineRegistry(shop.PIPELINES).pipeline_for(effect.type) is shop.LARGE_ORDERS

    exec(upcaster, shop.__dict__)
    assert shop.PLACED.upcasters[1]({"order_id": "7"}) == {"order_id": "7", "currency": "USD"}


def test_the_calls_of_the_how_to_are_declared_and_their_answer_has_a_pipeline():
    [pipelines] = re.findall(r"```python\n(.*?)```", (PAGES / "call-the-world.md").read_text(), re.DOTALL)
    shop: dict[str, Any] = {"__name__": "shop"}

    exec(pipelines, shop)  # our own page
    told, thanked = run(shop["SHIPPING"], {"order_id": "7", "customer": "a@example.org"}).effects

    assert PipelineRegistry(shop["PIPELINES"]).pipeline_for(told.answer_type) is shop["ANSWERS"]
    assert (told.body, thanked.to) == ({"order_id": "7"}, ("a@example.org",))
