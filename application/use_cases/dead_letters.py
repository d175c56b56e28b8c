"""Dead letters: found, grouped, and decided about: run again, or left for good with a reason."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

from msgspec import structs

from application.auditor import Auditor
from application.ports.audit import Audit, AuditEntry
from application.ports.context_log import NewContext, RecordedContext
from application.ports.dead_letters import DeadLetter, DeadLetterFilter, DeadLetters
from application.ports.dispatcher import Dispatcher
from application.ports.event_log import EventLog
from application.subscription import subscription_with
from application.use_cases.events import get_event
from domain.context import Failure, TaskContext, whole_json
from domain.errors import CountDiffers, InvalidRequest, NotFound
from domain.events import RecordedEvent, parse_time
from domain.registry import PipelineRegistry

MAX_REASON = 500
"""Characters of a reason."""
DECISIONS = 1000
"""The last decisions among which those about one event are looked for."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A step in the life of a dead letter: it `died` of a kind of failure, or somebody decided about it.

    `by` is the actor, where the audit names one; `reason` the kind of failure, or why it was discarded.
    """

    what: Literal["died", "requeued", "discarded"]
    at: datetime
    by: str | None = None
    reason: str | None = None


def decisions_of(event: RecordedEvent, rows: Sequence[RecordedContext], *, audit: Audit) -> list[Decision]:
    """How often a live run of an event died, and what was decided about it then, in the order of time.

    `rows` are the event's contexts. Of a decision about many the audit keeps the filter: it means the events that
    were dead letters then and fit.
    """
    live = [row for row in rows if row.generation == 0]
    dead = [row for row in live if row.status == "dead"]
    if not dead:
        return []
    entries = audit.read(action="dead", limit=DECISIONS)
    told = [Decision(what="died", at=row.recorded_at, reason=row.failure) for row in dead]
    for entry in entries:
        letter = next((row for row in reversed(live) if row.recorded_at <= entry.recorded_at), None)
        if entry.action == "dead.requeue" and letter in dead and _means(entry, event, letter):
            told.append(Decision(what="requeued", at=entry.recorded_at, by=entry.actor))
    for letter, row in pairwise(live):
        if row.status == "discarded":
            means = (
                entry.actor
                for entry in entries
                if entry.action == "dead.discard"
                and letter.recorded_at <= entry.recorded_at <= row.recorded_at
                and _means(entry, event, letter)
            )
            told.append(Decision(what="discarded", at=row.recorded_at, by=next(means, None), reason=_reason_of(row)))
    return sorted(told, key=lambda each: each.at)


def _reason_of(row: RecordedContext) -> str | None:
    run = TaskContext.from_json(row.context).run
    return run.failure.message if run and run.failure else None


def _means(entry: AuditEntry, event: RecordedEvent, letter: RecordedContext) -> bool:
    """Whether a decision was about this event, which was this dead letter then."""
    wanted = entry.detail.get("filter")
    if wanted is None:
        return event.id in map(str.lower, entry.detail.get("ids", ()))
    since, until = (parse_time(wanted[name]) if name in wanted else None for name in ("since", "until"))
    actual = {"pipeline": letter.pipeline, "type": event.type, "failure": letter.failure}
    return (
        all(wanted.get(name, value) == value for name, value in actual.items())
        and (since is None or since <= letter.recorded_at)
        and (until is None or letter.recorded_at < until)
    )


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
    # What dies while this goes on is nobody's that was counted.
    now = events.now()
    wanted = replace(chosen.wanted, until=min(chosen.wanted.until or now, now))
    count = count_dead_letters(wanted, dead_letters=dead_letters)
    if chosen.count != count:
        raise CountDiffers(
            f"{count:,} dead letters fit, and the request says {chosen.count}. Look again, and send that count.",
            count=count,
        )
    record()
    found = []
    for page in _pages(wanted, dead_letters):
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
    run = structs.replace(context.run, status="discarded", failure=failure)
    return NewContext(
        event_position=letter.event.position,
        pipeline=letter.context.pipeline,
        generation=0,
        status="discarded",
        context=whole_json(context.result_json, run),
        digest=letter.context.digest,
        fingerprint=letter.context.fingerprint,
    )
