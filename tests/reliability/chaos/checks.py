"""The checks: what must hold after a run, each as n of N with the first exceptions."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.reliability.chaos.facts import Facts, Sent
from tests.reliability.chaos.load import SOURCE

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Invariant:
    """`held` of `total` things were as they must be; `exceptions` begin with the key or id of an event, if any."""

    name: str
    total: int
    held: int
    exceptions: Sequence[str]


def invariant(name: str, total: int, exceptions: Iterable[str]) -> Invariant:
    wrong = list(exceptions)
    return Invariant(name, total, max(0, total - len(wrong)), wrong[:SHOWN])


def _by_key(facts: Facts) -> Mapping[str, Any]:
    return {event.key: event for event in facts.ours}


def answered_events_are_kept(facts: Facts) -> Invariant:
    """An event that was answered 202 is in the log, under the id of the answer, with equal bytes."""
    stored, answered = _by_key(facts), [sent for sent in facts.sent.values() if sent.outcome == "answered"]

    def fault(sent: Sent) -> str | None:
        event = stored.get(sent.key)
        if event is None:
            return "is not in the log"
        if sent.ids != {event.id}:
            return f"was answered as {sorted(sent.ids)}, and is {event.id}"
        same = (event.type, event.subject, event.data) == (sent.type, sent.subject, sent.data)
        return None if same else f"was sent as {sent.data}, and is {event.data}"

    return invariant(
        "answered events are in the log, one id a key, with equal bytes",
        len(answered),
        [f"{sent.key} {wrong}" for sent in answered if (wrong := fault(sent))],
    )


def unknown_events_are_there_at_most_once(facts: Facts) -> Invariant:
    """No event is stored twice, however often it was sent without an answer."""
    copies = Counter((event.type, event.data) for event in facts.ours)
    sent = [sent for sent in facts.sent.values() if sent.unknown]
    return invariant(
        "events once without an answer: exactly one after the resend, at most one else",
        len(sent),
        [
            f"{each.key} is there {number} times, {each.outcome}"
            for each in sent
            if (number := copies[each.type, each.data]) > 1 or (number != 1 and each.outcome == "answered")
        ],
    )


def refused_events_are_not_there(facts: Facts) -> Invariant:
    stored = _by_key(facts)
    refused = [sent for sent in facts.sent.values() if sent.outcome == "refused"]
    return invariant(
        "refused events are not in the log",
        len(refused),
        [f"{sent.key} is there" for sent in refused if sent.key in stored],
    )


def nothing_else_is_there(facts: Facts) -> Invariant:
    """Every event of ours was sent by a producer, in these bytes; a key of another body was refused."""
    strangers = [
        f"{event.key} was not sent so: {event.data}"
        for event in facts.ours
        if event.key not in facts.sent or facts.sent[event.key].data != event.data
    ]
    return invariant(
        "nothing is in the log that was not sent; another body under a known key is refused",
        len(facts.ours) + len(facts.wrongly_taken),
        [*strangers, *facts.wrongly_taken],
    )


def positions_are_gapless(facts: Facts) -> Invariant:
    faults = []
    for log, rows in (("events", facts.events), ("task_contexts", facts.contexts)):
        faults += [f"{log}: {n}. row has position {row.position}" for n, row in enumerate(rows, 1) if row.position != n]
        if facts.heads[log] != len(rows):
            faults.append(f"{log}: the head is {facts.heads[log]} of {len(rows)}")
    return invariant("positions are 1…n in both logs", len(facts.events) + len(facts.contexts), faults)


def readers_saw_the_same(facts: Facts) -> Invariant:
    """Two readers that followed while everything broke saw each position once, and what stands there now."""
    faults = [fault for reader in facts.readers for fault in reader.breaks]
    total = 0
    for log, digests in facts.digests.items():
        total += len(digests) * len(facts.readers)
        for number, reader in enumerate(facts.readers):
            if len(reader.seen[log]) != len(digests):
                faults.append(f"reader {number} saw {len(reader.seen[log])} of {len(digests)} {log}")
            pairs = enumerate(zip(reader.seen[log], digests, strict=False), 1)
            faults += [f"reader {number} saw another row at {log} {n}" for n, (a, b) in pairs if a != b]
    return invariant("two readers during the faults saw each position once, the same rows", total, faults)


def every_event_ended_once(facts: Facts) -> Invariant:
    """One completed context an event and pipeline; or dead, with its reason."""
    ends: dict[int, Counter[str]] = defaultdict(Counter)
    for row in facts.contexts:
        if row.generation == 0:
            ends[row.event_position][row.status] += 1
    dead_without = {
        row.event_position for row in facts.contexts if row.status == "dead" and not facts.reasons.get(row.position)
    }

    def fault(event: Any) -> str | None:
        end = ends[event.position]
        if end["completed"] + end["dead"] != 1:
            return f"has ended {dict(end)}"
        return "is dead without a reason" if event.position in dead_without else None

    wrong = [f"{event.id} {told}" for event in facts.events if (told := fault(event))]
    there = {event.position for event in facts.events}
    wrong += [f"a context is of position {position}, where no event is" for position in ends if position not in there]
    return invariant("each event ended exactly once, completed or dead with a reason", len(facts.events), wrong)


def only_poison_is_dead(facts: Facts) -> Invariant:
    """What was planted is dead, each for its own reason, and nothing else is."""
    planted = {
        key: "WorkerDied" if mood == "deadly" else "ValueError: poison"
        for key, sent in facts.sent.items()
        if (mood := mood_of(sent.data)) in {"poison", "deadly"}
    }
    by_position = {event.position: event for event in facts.events}
    dead = [
        (by_position[row.event_position], row.position)
        for row in facts.contexts
        if row.status == "dead" and row.event_position in by_position
    ]
    faults = []
    for event, position in dead:
        reason, wanted = facts.reasons.get(position) or "", planted.get(event.key)
        if event.source != SOURCE or wanted is None or not reason.startswith(wanted):
            faults.append(f"{event.id} is dead ({reason}), which was {'planted otherwise' if wanted else 'fine'}")
    known = {event.key for event, _ in dead}
    alive = [event for event in facts.ours if event.key in planted and event.key not in known]
    faults += [f"{event.id} was planted to die, and is not dead" for event in alive]
    return invariant("only planted poison is dead, and all of it", len(dead) + len(alive), faults)


def mood_of(data: str) -> str:
    """How the run of an event was planted to end, read without trusting that it is JSON of ours."""
    for mood, first in (("poison", "p"), ("deadly", "d"), ("transient", "t")):
        if f'"mood": "\\u{ord(first):04x}{mood[1:]}"' in data:
            return mood
    return "fine"


def subjects_ended_in_order(facts: Facts) -> Invariant:
    """In the ordered pipeline the events of a subject ended in the order of their positions."""
    by_position = {event.position: event for event in facts.events if event.route == "moves"}
    last: dict[str, int] = {}
    total, faults = 0, []
    for row in facts.contexts:
        event = by_position.get(row.event_position)
        if event is None or row.status not in {"completed", "dead"}:
            continue
        total += 1
        if event.position < last.get(event.subject, 0):
            faults.append(f"{event.id} of {event.subject} ended after position {last[event.subject]}")
        last[event.subject] = event.position
    return invariant("ordered subjects ended in order", total, faults)


def follow_ups_are_there_once(facts: Facts) -> Invariant:
    asked = [event for event in facts.events if event.route == "asking"]
    follow_ups = {event.id for event in facts.events if event.route == "answering"}
    faults = [
        f"{event.id} has {len(found)} follow-ups"
        for event in asked
        if len(found := [one for one in facts.causes.get(event.id, ()) if one in follow_ups]) != 1
    ]
    return invariant("each asked-for follow-up is there exactly once", len(asked), faults)


def slots_were_sent_once(facts: Facts) -> Invariant:
    ticks = facts.ticks
    if not ticks:
        return invariant("each slot of the schedule was sent once", 0, ())
    slot, wanted = datetime.fromisoformat(ticks[0]), []
    while slot <= datetime.fromisoformat(facts.last_tick_due):
        wanted.append(slot.strftime("%Y-%m-%dT%H:%M:%SZ"))
        slot += timedelta(minutes=1)
    counts = Counter(ticks)
    faults = [f"{one} was sent {counts[one]} times" for one in wanted if counts[one] != 1]
    return invariant("each slot of the schedule was sent once", len(wanted), faults)


LOG_CHECKS: tuple[Callable[[Facts], Invariant], ...] = (
    answered_events_are_kept,
    unknown_events_are_there_at_most_once,
    refused_events_are_not_there,
    nothing_else_is_there,
    positions_are_gapless,
    readers_saw_the_same,
    every_event_ended_once,
    only_poison_is_dead,
    subjects_ended_in_order,
    follow_ups_are_there_once,
    slots_were_sent_once,
)
