"""What a pipeline's code reaches: helpers, constants, classes of the user's packages; and nothing of libraries."""

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from textwrap import dedent

import pytest

from domain.fingerprints import Choice, PipelineCode, changes
from domain.pipeline import FunctionNode, Pipeline
from tests.unit.orders import Order

SHOP = {path.name: path.read_text(encoding="utf-8") for path in (Path(__file__).parent / "shop").glob("*.py")}
Change = tuple[str, str, str]
EURO_LEAVES = ("pipelines.py", "    euro,\n", "")
Shop = Callable[..., PipelineCode]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Writes the package `shop` with changes (a file, a text in it, another for it) and reads its pipeline's code."""
    versions = count(1)

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
            del sys.modules[name]

    def read(*changed: Change) -> PipelineCode:
        folder = tmp_path / str(next(versions))
        write(folder, *changed)
        forget()
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            code: PipelineCode = importlib.import_module("shop.pipelines").ORDERS.code
        return code

    yield read
    forget()


def write(folder: Path, *changed: Change) -> None:
    """Write the package with changes."""
    files = dict(SHOP)
    for file, old, new in changed:
        assert old in files[file], old
        files[file] = files[file].replace(old, new, 1)
    (folder / "shop").mkdir(parents=True)
    for name, text in files.items():
        (folder / "shop" / name).write_text(text, encoding="utf-8")


def changed(shop: Shop, *change: str) -> dict[str, tuple[str, ...]]:
    """What a change changes, by part."""
    return {each.part: each.details for each in changes(shop(), shop(change))}


IN_LIMITS = [
    ("SMALL = 10", "SMALL = 11", "node found", "constant shop.limits.SMALL"),
    ('"EUR": 1', '"EUR": 2', "node euro", "constant shop.rules.RATES"),
    ('Decimal("1.1")', 'Decimal("1.2")', "node euro", "constant shop.rules.RATES"),
    ('"cold"', '"hot"', "node worded", "constant shop.limits.WORDS"),
    ("[A-Z]{3}", "[A-Z]{4}", "node worded", "constant shop.limits.CODE"),
    ('S = "small"', 'S = "tiny"', "node found", "class shop.limits.Size"),
]
IN_RULES = [
    ("amount / rate", "amount * rate", "node euro", "function shop.rules.in_euro"),
    ('rate("EUR")', 'rate("USD")', "node euro", "function shop.rules.rate"),
    ("is_small(amount)\n\n\nTABLE", "not is_small(amount)\n\n\nTABLE", "node found", "class shop.rules.Table"),
    ("amount >= limit\n", "amount > limit\n", "node huge", "function shop.rules.at_least.<locals>.check"),
    ("* 100", "* 1000", "node whole", "function shop.rules.cents"),
    ("number != 0 and", "number > 0 and", "node parity", "function shop.rules.odd"),
    ("bool(CODE", "not bool(CODE", "node worded", "function shop.rules.lazily"),
    ("amount + 1", "amount + 3", "node picked", "function shop.rules.<lambda>"),
]
IN_PIPELINES = [
    ("abs(amount)", "amount", "schema order.placed", "function shop.pipelines.positive"),
    ('note: str = ""', 'note: str = "-"', "schema order.placed", "class shop.pipelines.Order"),
    ("rules.rounded(1)", "rules.rounded(2)", "schema order.placed", "function shop.pipelines.lift"),
    ("Threshold(3)", "Threshold(4)", "node threshold", "its parameters"),
    ("Document(amount=", "Document(amount=-", "document", "function shop.pipelines.document"),
]
ALL = [
    *(("limits.py", *each) for each in IN_LIMITS),
    *(("rules.py", *each) for each in IN_RULES),
    *(("pipelines.py", *each) for each in IN_PIPELINES),
]


@pytest.mark.parametrize("case", ALL, ids=" ".join)
def test_a_change_is_seen_in_the_part_that_reaches_it(shop: Shop, case: tuple[str, ...]):
    *change, part, name = case

    assert changed(shop, *change) == {part: (f"{name} changed",)}


def test_what_several_parts_reach_is_seen_in_each(shop: Shop):
    wrapper = ("function shop.rules.traced.<locals>.wrapper changed",)
    large = ("constant shop.limits.LARGE changed",)

    assert changed(shop, "limits.py", "1000", "1001") == {"node kind": large, "node threshold": large}
    assert changed(shop, "rules.py", "return function(", "return -function(") == {
        "schema order.placed": wrapper,
        "node whole": wrapper,
    }


def test_what_a_function_holds_on_to_is_seen(shop: Shop):
    assert changed(shop, "rules.py", "at_least(5000)", "at_least(5001)") == {
        "node huge": ("function shop.rules.at_least.<locals>.check changed", "name shop.rules.is_huge changed")
    }


def test_what_goes_is_seen(shop: Shop):
    found = changed(shop, "pipelines.py", "version=2, upcasters={1: lift}", "version=1")
    assert "function shop.pipelines.lift removed" in found["schema order.placed"]
    assert changed(shop, "pipelines.py", '"small": (found,)', '"small": ()') == {
        "node found": ("removed",),
        "order of nodes where kind is small": ("its parameters changed",),
    }


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("rules.py", '"""Whether few look."""', '"""Whether anybody looks."""'),
        ("rules.py", '    """Whether few look."""\n', ""),
        ("pipelines.py", '"""An order."""', '"""What somebody ordered."""'),
        ("limits.py", "  # from here on somebody looks", ""),
        ("limits.py", "import re\n", "import re\n\n\n\n"),
        (
            "rules.py",
            "arguments):\n        return function(*arguments)",
            "arguments): return (function( * arguments ))",
        ),
        ("pipelines.py", "def positive(amount)", "def nobody_calls_this():\n    return 1\n\n\ndef positive(amount)"),
    ],
)
def test_comments_docstrings_layout_and_what_is_not_reached_make_no_difference(
    shop: Shop, file: str, old: str, new: str
):
    assert changed(shop, file, old, new) == {}
    assert shop().fingerprint == shop((file, old, new)).fingerprint


USES = {
    "an attribute of a package's module": """
        import shop.limits
        def f(context): return shop.limits.SMALL""",
    "an import inside": """
        def f(context):
            import shop.limits
            return shop.limits.SMALL""",
    "an import inside, under another name": """
        def f(context):
            import shop.limits as limits
            return limits.SMALL""",
    "a relative import inside, used further inside": """
        def f(context):
            from . import limits
            return (lambda: limits.SMALL)()""",
    "a computed attribute": """
        from shop import limits
        def f(context): return getattr(limits, context.data.note)""",
    "a computed attribute of an import inside": """
        def f(context):
            from shop import limits
            return getattr(limits, context.data.note)""",
    "a default": """
        from shop import limits
        def f(context, bound=limits.SMALL): return bound""",
    "a comprehension": """
        from shop import limits
        def f(context): return [limits.SMALL for _ in range(3)]""",
    "a class inside": """
        from shop import limits
        def f(context):
            class Inner:
                bound = limits.SMALL
            return Inner.bound""",
    "a base class": """
        from shop import limits
        class Base:
            bound = limits.SMALL
        class Node(Base):
            def __call__(self, context): return self.bound
        f = Node()""",
    "the state of an object": """
        from shop import limits
        class Bound:
            def __init__(self): self.bound = limits.SMALL
            def at(self, context): return self.bound
        f = Bound().at""",
    "a class made in a function": """
        from shop import limits
        def made(bound):
            class Node:
                def __call__(self, context): return bound
            return Node()
        f = made(limits.SMALL)""",
    "a tuple with names": """
        from collections import namedtuple
        from shop import limits
        Bounds = namedtuple("Bounds", "low high")
        BOUNDS = Bounds(1, [limits.SMALL])
        def f(context): return BOUNDS""",
    "what a library's decorator wraps": """
        import contextlib
        from shop import limits
        @contextlib.contextmanager
        def bound(): yield limits.SMALL
        def f(context):
            with bound() as found: return found""",
    "a partial": """
        from functools import partial
        from shop import limits
        def bounded(bounds, context): return bounds
        f = partial(bounded, {"low": (limits.SMALL, {1, 2})})""",
    "a class derived from a library's": """
        import json
        from shop import limits
        class Encoder(json.JSONEncoder):
            def default(self, value): return limits.SMALL
        ENCODER = Encoder()
        def f(context): return ENCODER.encode(context)""",
    "the statement that makes what cannot be written": """
        import itertools
        from shop.limits import SMALL
        NUMBERS = itertools.count(SMALL)
        def f(context): return next(NUMBERS)""",
}


@pytest.mark.parametrize("text", USES.values(), ids=USES)
def test_a_node_reaches_what_it_uses_in_whatever_way(shop: Shop, text: str):
    node = using(text)
    before, again, after = shop(*node), shop(*node), shop(*node, ("limits.py", "SMALL = 10", "SMALL = 11"))

    assert before == again
    assert "node used" in {each.part for each in changes(before, after)}


def using(text: str) -> tuple[Change]:
    """The change that gives the pipeline a node of the function `f`, which `text` defines."""
    text = f"{dedent(text)}\nfrom domain.pipeline import FunctionNode\nNODES = (\n    FunctionNode('used', f),\n"
    return (("pipelines.py", "NODES = (\n", text),)


def test_what_has_no_stable_form_counts_by_its_statement_and_is_named(shop: Shop):
    extra = "import logging, threading\nlock = threading.Lock()\ndef f(context):\n    with lock: return 1"
    code = shop(*using(extra))
    other = shop(*using(extra.replace("Lock()", "RLock()")))

    assert code == shop(*using(extra))
    assert "constant shop.pipelines.lock" in code.unseen
    assert [each.part for each in changes(code, other)] == ["node used"]


def test_a_value_that_is_too_deep_is_named(shop: Shop):
    text = """
        DEEP = []
        for _ in range(5_000):
            DEEP = [DEEP]
        def f(context): return DEEP"""

    assert shop(*using(text)).unseen == ("constant shop.pipelines.DEEP",)


def test_a_value_that_holds_itself_has_a_form(shop: Shop):
    text = """
        class Tree:
            def __init__(self, limit):
                self.limit, self.top = limit, [self]
        TREE = Tree(1)
        def f(context): return TREE.top"""
    code = shop(*using(text))

    assert (code, code.unseen) == (shop(*using(text)), ())
    assert [each.part for each in changes(code, shop(*using(text.replace("Tree(1)", "Tree(2)"))))] == ["node used"]


def test_where_the_package_lies_makes_no_difference(shop: Shop):
    extra = (
        "from pathlib import Path\nHERE = Path(__file__).parent\nTEXT = str(HERE)\ndef f(context): return HERE, TEXT"
    )

    assert shop(*using(extra)).fingerprint == shop(*using(extra)).fingerprint


def test_libraries_are_not_followed_and_which_one_is_named_counts(shop: Shop):
    code = shop(*using("from json import loads\ndef f(context): return loads('1')"))
    other = shop(*using("from ast import literal_eval as loads\ndef f(context): return loads('1')"))

    assert code.packages == ("shop",)
    assert not any("json" in name for part in code.parts.values() for name in part.reached)
    assert [each.details for each in changes(code, other)] == [("name shop.pipelines.loads changed",)]


def test_two_functions_of_one_source_are_told_apart_by_what_they_hold(shop: Shop):
    extra = "from shop.rules import at_least\na, b = at_least(1), at_least(2)\ndef f(c): return a(1) < b(2)"

    assert changes(shop(*using(extra)), shop(*using(extra.replace("a, b =", "b, a ="))))


def test_code_without_a_source_counts_as_it_was_compiled():
    def made(text: str) -> PipelineCode:
        names = {"__name__": "shop"}
        exec(f"def f(context): return [x in {text} for x in 'ab']", names)
        return Pipeline("orders", {"order.placed": Order}, (FunctionNode("f", names["f"]),)).code

    assert made("{'a', 'b', 'c'}") == made("{'a', 'b', 'c'}")
    assert made("{'a', 'b', 'c'}").fingerprint != made("{'a', 'b', 'd'}").fingerprint


def test_nodes_in_a_branch_run_where_its_choice_was_made(shop: Shop):
    parts = shop().parts
    kind = {"large": Choice(node="kind", outputs=("large",)), "small": Choice(node="kind", outputs=("small",))}

    assert parts["node huge"].choices == parts["node threshold"].choices == (kind["large"],)
    assert parts["node found"].choices == (kind["small"],)
    assert parts["node worded"].choices == (Choice(node="kind", outputs=("large", "small"), among=False),)
    assert parts["node kind"].choices == parts["node whole"].choices == parts["schema order.placed"].choices == ()
    assert kind["large"].is_made({"kind": "large"})
    assert not kind["large"].is_made({"kind": "small"})
    assert not kind["large"].is_made({})


def test_a_branch_that_comes_concerns_those_that_would_have_taken_it(shop: Shop):
    found = changes(
        shop(), shop(("pipelines.py", '"small": (found,)', '"small": (found,), "odd": (euro,)'), EURO_LEAVES)
    )
    of = {each.part: each for each in found}

    assert of["order of nodes where kind is odd"].concerns({"kind": "odd"})
    assert not of["order of nodes where kind is odd"].concerns({"kind": "small"})
    assert "node kind" not in of


PRINT = "import shop.pipelines as p; print(p.ORDERS.fingerprint, p.ORDERS.code.parts)"


def test_equal_code_has_an_equal_fingerprint_in_every_process_and_place(tmp_path: Path):
    printed = set()
    for seed in ("1", "2", "3"):
        write(tmp_path / seed)
        ended = subprocess.run(
            [sys.executable, "-c", PRINT],
            env={"PYTHONPATH": f"{tmp_path / seed}:{Path.cwd()}", "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        printed.add(ended.stdout)

    assert len(printed) == 1
    assert b"0x" not in printed.pop()
