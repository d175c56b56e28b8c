"""Appending: which events of a batch are taken, repeated or refused, as if they came one after the other.

What PostgreSQL does in `append_events`, for the stores that judge under a lock of their own.
"""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from application.ports.event_log import Verdict
from domain.errors import AtomicRefused, KeyReused, PlayheadError, WrongExpectedVersion
from domain.events import NewEvent

Known = Mapping[tuple[str, str], tuple[str, int, str | None]]
"""By (source, key): the id, the position and the body digest of the event that has the key."""


def judge(
    events: Sequence[NewEvent], known: Known, versions: Mapping[str, int], head: int, *, atomic: bool
) -> list[Verdict]:
    """Give each event its verdict; those that are taken get the positions after `head`, in order.

    `known` has the keys of the batch that the log knows, `versions` the last position of each subject that an
    event of the batch expects a version of.
    """
    verdicts: list[Verdict] = []
    first_of_key: dict[tuple[str, str], int] = {}
    taken_subjects: dict[str, int] = {}
    taken = 0
    for ordinal, event in enumerate(events):
        verdict = _known_key(event, known) or _twin(event, ordinal, events, verdicts, first_of_key)
        if verdict is None and event.expected_version is not None:
            current = taken_subjects.get(event.subject, versions.get(event.subject, 0))
            if current != event.expected_version:
                verdict = Verdict(None, None, refusal=refusal_of("wrong-expected-version", event, current))
        if verdict is None:
            taken += 1
            verdict = Verdict(event.id, head + taken)
            if event.subject:
                taken_subjects[event.subject] = head + taken
        verdicts.append(verdict)
    if atomic and any(verdict.refusal for verdict in verdicts):
        return [
            verdict if verdict.refusal or _in_log(verdict, head) else _atomic(event)
            for event, verdict in zip(events, verdicts, strict=True)
        ]
    return verdicts


def refusal_of(code: str, event: NewEvent, current: int | None) -> PlayheadError:
    """The refusal of a code: what was wrong, where, and what to do."""
    if code == KeyReused.code:
        return KeyReused(
            f"The key {event.key!r} of source {event.source!r} belongs to an event with another type, subject or "
            "data. Send that one again, or use a new key."
        )
    if code == WrongExpectedVersion.code:
        return WrongExpectedVersion(
            f"The last event of subject {event.subject!r} is at position {current}, not {event.expected_version}. "
            "Read the subject again and decide anew.",
            current=current or 0,
        )
    return AtomicRefused("Another event of this all-or-nothing batch was refused, so this one was not stored.")


def _known_key(event: NewEvent, known: Known) -> Verdict | None:
    if event.key is None or (event.source, event.key) not in known:
        return None
    event_id, position, body_digest = known[event.source, event.key]
    if body_digest != event.body_digest:
        return Verdict(None, None, refusal=refusal_of(KeyReused.code, event, None))
    return Verdict(event_id, position, repeated=True)


def _twin(
    event: NewEvent,
    ordinal: int,
    events: Sequence[NewEvent],
    verdicts: Sequence[Verdict],
    first_of_key: dict[tuple[str, str], int],
) -> Verdict | None:
    """The verdict on the second of two events with one key: that of the first, when their bodies are the same."""
    if event.key is None:
        return None
    first = first_of_key.setdefault((event.source, event.key), ordinal)
    if first == ordinal:
        return None
    if events[first].body_digest != event.body_digest:
        return Verdict(None, None, refusal=refusal_of(KeyReused.code, event, None))
    return replace(verdicts[first], repeated=verdicts[first].refusal is None)


def _in_log(verdict: Verdict, head: int) -> bool:
    return verdict.position is not None and verdict.position <= head


def _atomic(event: NewEvent) -> Verdict:
    return Verdict(None, None, refusal=refusal_of(AtomicRefused.code, event, None))
