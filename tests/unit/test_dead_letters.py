"""Deciding about dead letters: what an operator counted is what is decided about."""

from collections.abc import Callable

from application.auditor import Auditor
from application.ports.claims import Completion
from application.ports.dead_letters import DeadLetterFilter, FailureGroup
from application.subscription import of_pipeline
from application.use_cases.dead_letters import Chosen, discard
from domain.context import Run, TaskContext
from infrastructure.memory.dead_letters import MemoryDeadLetters
from infrastructure.memory.store import MemoryStore
from tests.factories import NewContextFactory, NewEventFactory, RecordedEventFactory
from tests.stores import StillClock

DEAD = Run(pipeline="orders", generation=0, attempt=1, fingerprint="", status="dead")


class Meanwhile(MemoryDeadLetters):
    """Lets something happen once the letters were counted."""

    then: Callable[[], None]

    def groups(self, wanted: DeadLetterFilter) -> list[FailureGroup]:
        found = super().groups(wanted)
        self.then()
        return found


def test_what_dies_while_a_decision_goes_on_is_not_decided_about() -> None:
    clock = StillClock()
    store = MemoryStore(clock)
    orders = of_pipeline("orders")
    store.claims.register([orders])
    store.dead_letters = Meanwhile(store.dead_letters._tables)

    def die() -> None:
        store.events.append([NewEventFactory()])
        claim = store.claims.take(orders, owner="w")
        assert claim is not None
        context = TaskContext(event=RecordedEventFactory()).ended(DEAD)
        died = NewContextFactory(event_position=claim.first, status="dead", context=context.json)
        assert store.claims.complete(claim, Completion(contexts=[died]))
        clock.later(1)

    store.dead_letters.then = die
    die()

    decided = discard(
        Chosen(wanted=DeadLetterFilter(), count=1),
        "known",
        events=store.events,
        dead_letters=store.dead_letters,
        auditor=Auditor("cli:me", store.audit),
    )

    assert len(decided.changed) == 1
    assert [letter.event.position for letter in store.dead_letters.find(DeadLetterFilter(), limit=9)] == [2]
