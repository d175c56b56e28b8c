"""Which stored results today's code could change: exactly those whose run took a part that changed."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from pydantic import BaseModel

from application.auditor import Auditor
from application.ports.promotions import View
from application.subscription import Selection, of_pipeline
from application.use_cases import staleness
from application.use_cases.listing import list_positions
from application.use_cases.processing import Processor
from application.use_cases.replay_run import run_replay
from application.use_cases.replaying import RunReplay
from application.use_cases.staleness import Staleness, find_stale, stale_positions
from domain.context import TaskContext
from domain.errors import InvalidReplay
from domain.nodes import Branches, Route
from domain.pipeline import FunctionNode, Node, Pipeline, node
from domain.registry import PipelineRegistry
from infrastructure.memory.search_index import MemorySearchIndex
from infrastructure.sql.store import SqlStore
from tests.factories import NewEventFactory
from tests.integration.http import served
from tests.replays import memory_begin, memory_run
from tests.stores import Store
from tests.unit.engines import engine_of

EVENTS = 12
EVEN, ODD = list(range(1, EVENTS + 1, 2)), list(range(2, EVENTS + 1, 2))
"""The positions of events whose number is even, odd: the first position has number 0."""


class Number(BaseModel):
    n: int


class OtherNumber(BaseModel):
    n: int
    note: str = ""


def double(context: TaskContext) -> int:
    return 2 * context.data.n


def triple(context: TaskContext) -> int:
    return 3 * context.data.n


def parity(context: TaskContext) -> str:
    return ("even", "odd")[context.data.n % 2]


def third(context: TaskContext) -> str:
    return f"by {context.data.n % 3}"


@node
def picky(context: TaskContext) -> int:
    if context.data.n == 0:
        raise ValueError("nothing")
    return 0


def route(*, even=double, odd=double, choose=parity, **more) -> Route:
    """Two branches with a node each."""
    branches = {"even": (FunctionNode("of_even", even),), "odd": (FunctionNode("of_odd", odd),)}
    return Route("route", choose, branches, **more)


def registry_of(*nodes: Node, name: str = "numbers", **accepts: type[BaseModel]) -> PipelineRegistry:
    types = {"number.sent": Number, "number.seen": Number, **accepts}
    return PipelineRegistry([Pipeline(name, types, nodes)] if types else [])


def ran(store: Store, registry: PipelineRegistry, *, known: bool = True, type_: str = "number.sent") -> None:
    """Let a dozen numbers run live."""
    if known:
        store.codes.register(registry.codes.values())
    head = store.events.head()
    store.events.append(
        [NewEventFactory(type=type_, data=f'{{"n": {n}}}', route="numbers") for n in range(head, head + EVENTS)]
    )
    live = of_pipeline("numbers", batch=5)
    store.claims.register([live])
    engine_of(store, Processor(registry), live).turn("numbers")


def stale(store: Store, registry: PipelineRegistry) -> Staleness:
    ports = {"contexts": store.contexts, "codes": store.codes, "promotions": store.promotions}
    return find_stale(**ports, events=store.events, registry=registry)


def positions(store: Store, registry: PipelineRegistry, pipeline: str | None = None) -> Sequence[int]:
    ports = {"contexts": store.contexts, "codes": store.codes, "promotions": store.promotions}
    return sorted(stale_positions(pipeline, **ports, registry=registry))


def told(found: Staleness) -> list[tuple[tuple[str, ...], int]]:
    return [(one.causes, one.results) for one in found.classes]


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staleness, "_PAGE", 5)
    monkeypatch.setattr(staleness, "_READ", 2)


def test_the_same_code_makes_nothing_stale(store: Store) -> None:
    ran(store, registry_of(route()))

    found = stale(store, registry_of(route()))

    assert (found.results, found.stale, found.classes) == (EVENTS, 0, [])
    assert found.packages == ["tests"]
    assert positions(store, registry_of(route())) == []


def test_a_change_in_a_branch_concerns_exactly_the_events_that_took_it(store: Store) -> None:
    ran(store, registry_of(route()))

    found = stale(store, registry_of(route(odd=triple)))

    assert told(found) == [(("node of_odd",), len(ODD))]
    assert positions(store, registry_of(route(odd=triple))) == ODD
    assert positions(store, registry_of(route(even=triple))) == EVEN
    assert positions(store, registry_of(route(even=triple, odd=triple))) == sorted(EVEN + ODD)
    [one] = found.classes
    assert one.changed == [
        f"node of_odd: function tests.integration.test_staleness.{name}" for name in ("double removed", "triple added")
    ]
    first = store.events.read(Selection(positions=tuple(ODD[:3])), limit=3)
    assert one.examples == [event.id for event in first]


def test_both_branches_are_told_apart(store: Store) -> None:
    ran(store, registry_of(route()))

    found = stale(store, registry_of(route(even=triple, odd=triple)))

    assert told(found) == [(("node of_even",), len(EVEN)), (("node of_odd",), len(ODD))]


def test_a_branch_in_a_branch_concerns_those_that_took_both(store: Store) -> None:
    def nested(function) -> PipelineRegistry:
        inner = Route("third", third, {"by 1": (FunctionNode("deep", function),)}, otherwise=())
        return registry_of(Route("route", parity, {"odd": (inner,)}, otherwise=()))

    ran(store, nested(double))

    assert positions(store, nested(triple)) == [position for position in ODD if (position - 1) % 3 == 1]


def test_a_node_in_every_branch_of_branches_concerns_all(store: Store) -> None:
    def both(function) -> PipelineRegistry:
        return registry_of(Branches("both", {"a": (FunctionNode("a", function),), "b": (FunctionNode("b", double),)}))

    ran(store, both(double))

    assert told(stale(store, both(triple))) == [(("node a",), EVENTS)]


def test_the_rule_that_chooses_concerns_all(store: Store) -> None:
    ran(store, registry_of(route()))

    assert told(stale(store, registry_of(route(choose=third, otherwise=())))) == [
        (("node route",), EVENTS),
    ]


def test_a_node_that_comes_goes_or_moves_in_a_branch_concerns_that_branch(store: Store) -> None:
    ran(store, registry_of(Route("route", parity, {"odd": (FunctionNode("a", double),)}, otherwise=())))
    more = (FunctionNode("a", double), FunctionNode("b", double))

    comes = registry_of(Route("route", parity, {"odd": more}, otherwise=()))
    goes = registry_of(Route("route", parity, {"odd": ()}, otherwise=()))
    another = registry_of(Route("route", parity, {"odd": more[:1], "even": more[1:]}, otherwise=()))
    others = registry_of(Route("route", parity, {"odd": more[:1]}, otherwise=more[1:]))

    assert positions(store, comes) == positions(store, goes) == ODD
    assert positions(store, another) == positions(store, others) == EVEN


def test_a_schema_concerns_the_events_of_its_type(store: Store) -> None:
    ran(store, registry_of(route()))
    ran(store, registry_of(route()), type_="number.seen")

    found = stale(store, registry_of(route(), **{"number.seen": OtherNumber}))

    assert told(found) == [(("schema number.seen",), EVENTS)]
    assert positions(store, registry_of(route(), **{"number.seen": OtherNumber})) == list(range(13, 25))


def test_what_unknown_code_made_is_stale_and_says_so(store: Store) -> None:
    ran(store, registry_of(route()), known=False)

    assert told(stale(store, registry_of(route(odd=triple)))) == [(("unknown code",), EVENTS)]
    assert stale(store, registry_of(route())).stale == 0


def test_what_another_pipeline_or_none_would_run_now_is_stale_and_says_so(store: Store) -> None:
    ran(store, registry_of(route()))

    elsewhere = stale(store, registry_of(route(), name="others"))
    nowhere = stale(store, PipelineRegistry([]))

    assert told(elsewhere) == [(("number.sent runs through others now",), EVENTS)]
    assert told(nowhere) == [(("no pipeline accepts number.sent any more",), EVENTS)]
    assert [one.pipeline for one in elsewhere.classes + nowhere.classes] == ["numbers", "numbers"]


def test_codes_that_came_one_after_the_other_are_told_together(store: Store) -> None:
    ran(store, registry_of(FunctionNode("a", double)))
    ran(store, registry_of(FunctionNode("a", triple)))
    ran(store, registry_of(FunctionNode("a", parity)))

    found = stale(store, registry_of(FunctionNode("a", parity)))

    assert (found.results, told(found)) == (3 * EVENTS, [(("node a",), 2 * EVENTS)])
    assert len(found.classes[0].changed) == 3
    assert positions(store, registry_of(FunctionNode("a", parity))) == list(range(1, 25))


def test_a_dead_letter_is_no_result(store: Store) -> None:
    ran(store, registry_of(picky))

    found = stale(store, registry_of(FunctionNode("picky", double)))

    assert (found.results, found.stale) == (EVENTS - 1, EVENTS - 1)


def test_the_events_of_one_pipeline_may_be_listed_and_not_too_many(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(store, registry_of(route()))
    changed = registry_of(route(odd=triple))
    ports = {"states": store.states, "contexts": store.contexts, "index": MemorySearchIndex()}
    listed = partial(list_positions, **ports)

    assert listed(stale=positions(store, changed), status="succeeded") == ODD
    assert positions(store, changed, "others") == []
    monkeypatch.setattr("application.use_cases.listing.MAX_LISTED", 5)
    with pytest.raises(InvalidReplay, match="more than 5 events whose results today's code could change"):
        listed(stale=positions(store, changed))


def test_no_text_is_read_where_a_change_concerns_all(sql_store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    ran(sql_store, registry_of(FunctionNode("a", double)))
    monkeypatch.setattr(sql_store.contexts, "read", None)

    assert stale(sql_store, registry_of(FunctionNode("a", triple))).stale == EVENTS


def test_a_service_registers_its_code_before_it_works(sqlite_url: str, tmp_path: Path) -> None:
    registry = registry_of(route())

    with served(sqlite_url, tmp_path, registry=registry) as http:
        [(name, fingerprint)] = registry.fingerprints.items()
        found = http.container.codes().find([fingerprint])

    assert (name, found) == ("numbers", {fingerprint: registry.codes["numbers"]})


def test_a_replay_registers_its_code_and_its_results_count_once_it_is_promoted(store: Store) -> None:
    ran(store, registry_of(route()))
    changed = registry_of(route(odd=triple))
    replay = store.replays.create(Selection(last=EVENTS), changed.fingerprints, EVENTS)
    memory_begin(store, RunReplay(replay_id=replay.id), changed, Auditor("cli:somebody", store.audit))
    run_replay(memory_run(store, replay, Processor(changed, generation=replay.id)))

    assert set(store.codes.find(changed.fingerprints.values())) == set(changed.fingerprints.values())
    assert stale(store, changed).stale == len(ODD), "what a replay makes holds only once it is promoted"
    store.promotions.append(View(id=1, promoted=(replay.id,), action="promote", generation=replay.id))
    assert (stale(store, changed).results, stale(store, changed).stale) == (EVENTS, 0)
    assert positions(store, registry_of(route())) == ODD
