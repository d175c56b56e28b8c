"""Dead letters: found, grouped, and decided about: run again, or left for good with a reason."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from application.auditor import Auditor
from application.ports.context_log import NewContext
from application.ports.dead_letters import DeadLetter, DeadLetterFilter, DeadLetters
from application.ports.dispatcher import Dispatcher
from application.ports.event_log import EventLog
from application.subscription import subscription_with
from application.use_cases.events import get_event
from domain.context import Failure, TaskContext, whole_json
from domain.errors import CountDiffers, InvalidRequest, NotFound
from domain.registry import PipelineRegistry

MAX_REASON = 500
"""Characters of a reason."""
_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which dead letters are meant: those of some events by id, or those that fit a filter.

    With a filter `count` is how many there are, as the one who decides has seen it.
    """

    ids: Sequence[str] = ()
    wanted: DeadLetterFilter | None = None
    count: int | None = None

    @property
    def said(self) -> Mapping[str, Any]:
        """It as the audit has it."""
        filters = {} if self.wanted is None else asdict(self.wanted)
        wanted = {name: value for name, value in filters.items() if value is not None}
        return {"ids": list(self.ids)} if self.wanted is None else {"filter": wanted, "count": self.count}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a decision changed, by event id; `unchanged` were no dead letters (any more)."""

    changed: Sequence[str]
    unchanged: Sequence[str] = ()


def get_dead_letter(event_id: str, *, events: EventLog, dead_letters: DeadLetters) -> DeadLetter:
    """The dead letter of an event.

    Raises:
        NotFound: there is no such event, or it is no dead letter.
    """
    found = dead_letters.of([get_event(event_id, events=events).position])
    if not found:
        raise NotFound(f"Event {event_id} is no dead letter.")
    return found[0]


def count_dead_letters(wanted: DeadLetterFilter, *, dead_letters: DeadLetters) -> int:
    """How many fit."""
    return sum(group.count for group in dead_letters.groups(wanted))


def requeue(
    chosen: Chosen,
    *,
    events: EventLog,
    dead_letters: DeadLetters,
    dispatcher: Dispatcher,
    registry: PipelineRegistry,
    auditor: Auditor,
) -> Decided:
    """Run dead letters again, as if they had not run yet.

    Raises:
        CountDiffers: other than `count` letters fit the filter.
        InvalidRequest: neither ids nor a filter say which are meant, or both do.
        NotFound: an id names no event.
    """
    decided = _decide(
        chosen,
        lambda letters: dead_letters.requeue([letter.event.position for letter in letters]),
        lambda: auditor.record("dead.requeue", **chosen.said),
        events=events,
        dead_letters=dead_letters,
    )
    for event_id in decided.changed[:_PAGE]:
        event = get_event(event_id, events=events)
        if (name := subscription_with(event, registry)) is not None:
            dispatcher.ring(name, event_id=event.id)
    return decided


def discard(chosen: Chosen, reason: str, *, events: EventLog, dead_letters: DeadLetters, auditor: Auditor) -> Decided:
    """End dead letters for good. The reason stands in the context that is appended.

    Raises:
        CountDiffers: other than `count` letters fit the filter.
        InvalidRequest: neither ids nor a filter say which are meant, or both do; or there is no usable reason.
        NotFound: an id names no event.
    """
    said = reason.strip()
    if not said or len(said) > MAX_REASON or not said.isprintable():
        raise InvalidRequest(f"A discard needs a reason: one line of 1 to {MAX_REASON} characters.")
    return _decide(
        chosen,
        lambda letters: dead_letters.discard([_discarded(letter, said) for letter in letters]),
        lambda: auditor.record("dead.discard", reason=said, **chosen.said),
        events=events,
        dead_letters=dead_letters,
    )


def _decide(
    chosen: Chosen,
    change: Callable[[Sequence[DeadLetter]], Sequence[int]],
    record: Callable[[], None],
    *,
    events: EventLog,
    dead_letters: DeadLetters,
) -> Decided:
    if bool(chosen.ids) == (chosen.wanted is not None):
        raise InvalidRequest("Name dead letters by id, or say which by a filter and its count; one of them.")
    if chosen.wanted is None:
        named = [get_event(event_id, events=events) for event_id in dict.fromkeys(chosen.ids)]
        letters = dead_letters.of([event.position for event in named])
        record()
        changed = set(change(letters)) if letters else set()
        return Decided(
            changed=[event.id for event in named if event.position in changed],
            unchanged=[event.id for event in named if event.position not in changed],
        )
    count = count_dead_letters(chosen.wanted, dead_letters=dead_letters)
    if chosen.count != count:
        raise CountDiffers(
            f"{count:,} dead letters fit, and the request says {chosen.count}. Look again, and send that count.",
            count=count,
        )
    record()
    found = []
    for page in _pages(chosen.wanted, dead_letters):
        changed = set(change(page))
        found += [letter.event.id for letter in page if letter.event.position in changed]
    return Decided(changed=found)


def _pages(wanted: DeadLetterFilter, dead_letters: DeadLetters) -> Iterator[list[DeadLetter]]:
    before = None
    while page := dead_letters.find(wanted, before=before, limit=_PAGE):
        yield page
        before = page[-1].event.position


def _discarded(letter: DeadLetter, reason: str) -> NewContext:
    context = TaskContext.from_json(letter.context.context)
    assert context.run is not None
    failure = Failure(node=None, type="Discarded", message=reason)
    run = replace(context.run, status="discarded", failure=failure)
    return NewContext(
        event_position=letter.event.position,
        pipeline=letter.context.pipeline,
        generation=0,
        status="discarded",
        context=whole_json(context.result_json, run),
        digest=letter.context.digest,
        fingerprint=letter.context.fingerprint,
    )
