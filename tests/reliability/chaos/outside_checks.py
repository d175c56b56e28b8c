"""The checks of what lies outside the logs: calls, the index, the processes, the files of the database."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tests.reliability.chaos.checks import LOG_CHECKS, Invariant, invariant
from tests.reliability.chaos.facts import Facts


def calls_were_made(facts: Facts) -> Invariant:
    """Each completed event that declares a call was heard at least once, under one id, and its effect is done."""
    completed = {row.event_position for row in facts.contexts if row.status == "completed"}
    declared = [event for event in facts.events if event.route == "telling" and event.position in completed]
    ids: dict[str, set[str]] = defaultdict(set)
    for call in facts.calls:
        ids[call["nonce"]].add(call["id"])
    faults = []
    for event in declared:
        heard = ids.get(event.key) or ids.get(f"{event.key}/0") or set()
        if len(heard) != 1:
            faults.append(f"{event.id} was told under {len(heard)} ids")
        elif (phase := facts.effects.get(next(iter(heard)))) != "done":
            faults.append(f"{event.id}: its call is {phase}")
    return invariant("each declared call was heard at least once under one id, and is done", len(declared), faults)


def repeated_calls_are_alike(facts: Facts) -> Invariant:
    bodies: dict[str, set[str]] = defaultdict(set)
    for call in facts.calls:
        bodies[call["id"]].add(call["body"])
    faults = [f"call {one} came with {len(found)} bodies" for one, found in bodies.items() if len(found) != 1]
    return invariant("a repeated call has the same id and equal bytes", len(facts.calls), faults)


def calls_came_after_their_commit(facts: Facts) -> Invariant:
    judged = [call for call in facts.calls if call["committed"] is not None]
    faults = [f"{call['nonce']} was told before its commit" for call in judged if not call["committed"]]
    return invariant("no call came before the commit that declared it", len(judged), faults)


def index_equals_the_fold(facts: Facts) -> Invariant:
    """The ids and versions in the index are those of the completed contexts."""
    ids = {event.position: event.id for event in facts.events}
    fold: dict[str, int] = {}
    for row in facts.contexts:
        if row.status == "completed" and row.generation == 0:
            fold[ids.get(row.event_position, f"no event {row.event_position}")] = row.position
    faults = [f"{one} is indexed as {facts.indexed.get(one)}, not {fold.get(one)}" for one in _differ(fold, facts)]
    return invariant("the index equals the fold of the contexts (ids, versions)", len(fold), faults)


def _differ(fold: dict[str, int], facts: Facts) -> list[str]:
    return sorted(one for one in fold.keys() | facts.indexed.keys() if fold.get(one) != facts.indexed.get(one))


def nothing_is_left(facts: Facts) -> Invariant:
    faults = [*(f"claim left: {claim}" for claim in facts.claims), *(f"not taken on: {one}" for one in facts.behind)]
    return invariant("no claim is left, and nothing is queued", len(facts.events), faults)


def processes_answer_and_end(facts: Facts) -> Invariant:
    faults = [f"{name} does not answer" for name, answers in facts.answering.items() if not answers]
    for name, (code, seconds) in facts.ended.items():
        if code != 0:
            faults.append(f"{name} ended with {code} after {seconds} s" if code is not None else f"{name} did not end")
    return invariant("every process answers, and ends when it is told to", 2 * len(facts.ended), faults)


def stores_are_clean(facts: Facts) -> Invariant:
    faults = [f"{name}: {told}" for name, told in facts.clean.items() if told]
    return invariant("the files of the stores are clean", len(facts.clean), faults)


def harness_did_its_part(facts: Facts) -> Invariant:
    """No thread of the harness failed: else a quiet run would be no proof."""
    return invariant("the harness itself did its part", max(1, len(facts.problems)), facts.problems)


CHECKS: tuple[Callable[[Facts], Any], ...] = (
    *LOG_CHECKS,
    calls_were_made,
    repeated_calls_are_alike,
    calls_came_after_their_commit,
    index_equals_the_fold,
    nothing_is_left,
    processes_answer_and_end,
    stores_are_clean,
    harness_did_its_part,
)
