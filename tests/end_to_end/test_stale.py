"""Stored results and a package that changes on disk: what `playhead replay stale` lists, as its user sees it."""

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.embedded import dev, live_contexts
from tests.end_to_end.processes import ROOT, environment, run, wait_until
from tests.integration.http import event, flight

SHOP = {
    "__init__.py": "",
    "rules.py": '''
LIMIT = 100


def fee(amount):
    """What a small order costs more."""
    return 5


def rebate(amount):
    return amount / 10
''',
    "pipelines.py": """
from pydantic import BaseModel

from playhead import Pipeline, Route, node
from shop import rules


class Order(BaseModel):
    amount: float


def size(context):
    return "large" if context.data.amount >= rules.LIMIT else "small"


@node
def with_fee(context):
    return context.data.amount + rules.fee(context.data.amount)


@node
def with_rebate(context):
    return context.data.amount - rules.rebate(context.data.amount)


BY_SIZE = Route("size", size, {"small": (with_fee,), "large": (with_rebate,)})
PIPELINES = (Pipeline("orders", {"order.placed": Order}, (BY_SIZE,)),)
""",
}
AMOUNTS = (20, 500, 70, 100, 99, 3000, 1)
LARGE = [amount for amount in AMOUNTS if amount >= 100]


class Shop:
    """A state in which orders and flights have run, and versions of the packages that ran them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.ids: dict[float, str] = {}

    def version(self, name: str, **changes: tuple[str, str]) -> Mapping[str, str]:
        """An environment in which the packages have some texts replaced, by file."""
        packages = self.folder / name
        if not packages.exists():
            for file, text in SHOP.items():
                (packages / "shop" / file).parent.mkdir(parents=True, exist_ok=True)
                (packages / "shop" / file).write_text(text)
            shutil.copytree(ROOT / "examples/flights/src/flights", packages / "flights")
            for file, (old, new) in changes.items():
                path = next(packages.rglob(f"{file}.py"))
                assert old in path.read_text()
                path.write_text(path.read_text().replace(old, new))
        return environment(self.home, pythonpath=str(packages), pipelines="shop.pipelines")

    def fill(self) -> None:
        """Let orders and flights run through the first version."""
        env = {name: value for name, value in self.version("first").items() if name in {"PYTHONPATH", "PIPELINES"}}
        with dev(self.home, **env) as service:
            for amount in AMOUNTS:
                posted = service.client.post("/events", json={"type": "order.placed", "data": {"amount": amount}})
                self.ids[amount] = posted.json()["event_id"]
            for delay in (0.0, 17.0, 40.0):
                service.client.post("/events", json=event(data=flight(arr_delay=delay))).raise_for_status()
            expected = Counter({("orders", "completed"): len(AMOUNTS), ("flights", "completed"): 3})
            wait_until(lambda: live_contexts(self.home) == expected, log=service.log)

    def stale(self, env: Mapping[str, str]) -> tuple[int, Any]:
        done = run(env, "replay", "stale", "--json", cwd=self.folder)
        return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    found = Shop(tmp_path_factory.mktemp("stale"))
    found.fill()
    return found


def test_nothing_is_stale_where_comments_alone_have_changed(shop: Shop):
    code, found = shop.stale(shop.version("comments", rules=("What a small order costs more.", "A fee.")))
    people = run(shop.version("first"), "replay", "stale", cwd=shop.folder)

    assert (code, found["results"], found["stale"], found["classes"]) == (0, len(AMOUNTS) + 3, 0, [])
    assert people.returncode == 0
    assert "seen is the code of flights, shop; libraries are not seen" in people.stderr


def test_a_changed_helper_of_one_branch_lists_exactly_the_events_that_took_it(shop: Shop):
    env = shop.version("helper", rules=("amount / 10", "amount / 9"))
    code, found = shop.stale(env)
    explained = run(env, "replay", "stale", "--explain", cwd=shop.folder)
    planned = run(env, "replay", "plan", "--stale", "--json", cwd=shop.folder)

    assert (code, found["stale"]) == (1, len(LARGE))
    [one] = found["classes"]
    assert (one["pipeline"], one["causes"], one["results"]) == ("orders", ["node with_rebate"], len(LARGE))
    assert one["changed"] == ["node with_rebate: function shop.rules.rebate changed"]
    assert set(one["examples"]) == {shop.ids[amount] for amount in LARGE}
    assert explained.returncode == 1
    assert "node with_rebate: function shop.rules.rebate changed" in explained.stdout
    assert (planned.returncode, json.loads(planned.stdout)["count"]) == (0, len(LARGE))
    assert set(json.loads(planned.stdout)["first"]) == {shop.ids[amount] for amount in LARGE}


def test_the_replay_of_what_is_stale_changes_all_of_it_and_runs_with_the_code_of_its_plan_alone(shop: Shop):
    env = shop.version("another", rules=("return 5", "return 6"))
    replay = str(json.loads(run(env, "replay", "plan", "--stale", "--json", cwd=shop.folder).stdout)["id"])
    refused = run(shop.version("first"), "replay", "run", replay, cwd=shop.folder)
    done = json.loads(run(env, "replay", "run", replay, "--json", cwd=shop.folder).stdout)

    assert refused.returncode == 2
    assert "other code of orders" in refused.stderr
    assert (done["done"], done["identical"], done["different"]) == (True, 0, len(AMOUNTS) - len(LARGE))


def test_a_changed_limit_of_flights_lists_the_flights(shop: Shop):
    code, found = shop.stale(shop.version("flights", departures=("LATE = 15.0", "LATE = 20.0")))

    assert (code, found["stale"]) == (1, 3)
    [one] = found["classes"]
    assert (one["pipeline"], one["causes"]) == ("flights", ["node status"])
    assert one["changed"] == ["node status: constant flights.departures.LATE changed"]


def test_nothing_to_plan_is_said(shop: Shop):
    ended = run(shop.version("first"), "replay", "plan", "--stale", cwd=shop.folder)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "No event fits" in ended.stderr
