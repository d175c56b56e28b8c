"""Bugs of the door and of the logs: keys, versions, bytes, positions, answers."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from application.appender import Appender
from application.appending import judge
from application.ports.event_log import Verdict
from domain.errors import InvalidEvent, Unavailable
from infrastructure.memory import event_log
from infrastructure.memory.event_log import MemoryEventLog
from infrastructure.sql import event_log as sql_event_log
from tests.reliability.zoo.registry import bug


@bug("keys are not looked up", shows="is stored 2 times")
def _no_keys(patch: pytest.MonkeyPatch) -> None:
    def forgetful(events: Any, _known: Any, versions: Any, head: int, *, atomic: bool) -> list[Verdict]:
        return judge(events, {}, versions, head, atomic=atomic)

    patch.setattr(event_log, "judge", forgetful)


@bug("keys are not looked up in the database", shows="accepted and then refused", parts=("sending",))
def _no_keys_on_sql(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sql_event_log, "_known", lambda _connection, _events: {})


@bug("an expected version is not looked at", shows="expected version")
def _no_versions(patch: pytest.MonkeyPatch) -> None:
    def careless(events: Any, known: Any, versions: Any, head: int, *, atomic: bool) -> list[Verdict]:
        return judge([replace(event, expected_version=None) for event in events], known, versions, head, atomic=atomic)

    patch.setattr(event_log, "judge", careless)


def _with_append(patch: pytest.MonkeyPatch, planted: Any) -> None:
    original = MemoryEventLog.append
    patch.setattr(MemoryEventLog, "append", lambda self, events, **named: planted(original, self, events, **named))


@bug("data is parsed and written anew", shows="not stored with its bytes")
def _other_bytes(patch: pytest.MonkeyPatch) -> None:
    def append(original: Any, self: Any, events: Any, **named: Any) -> Any:
        return original(self, [replace(event, data=json.dumps(json.loads(event.data))) for event in events], **named)

    _with_append(patch, append)


@bug("an event that is due later gets no claim", shows="not one end after failed attempts")
def _no_claim_of_its_own(patch: pytest.MonkeyPatch) -> None:
    def append(original: Any, self: Any, events: Any, **named: Any) -> Any:
        made = self._tables.claims_made
        verdicts = original(self, events, **named)
        for number in [number for number in self._tables.claims if number > made]:
            del self._tables.claims[number]
        return verdicts

    _with_append(patch, append)


@bug("positions are given before the commit", shows="a reader of the events saw")
def _a_sequence(patch: pytest.MonkeyPatch) -> None:
    """Every third event is seen a little later than the next one, as with a sequence."""
    original = MemoryEventLog.read

    def read(self: Any, selection: Any, *, limit: int) -> Any:
        now = self._tables.clock()
        rows = original(self, selection, limit=limit)
        return [row for row in rows if row.position % 3 or (now - row.recorded_at).total_seconds() > 1.0]

    patch.setattr(MemoryEventLog, "read", read)


def _with_failed_append(patch: pytest.MonkeyPatch, answer: Any) -> None:
    original = Appender._append

    def append(self: Appender, events: Any, *, atomic: bool) -> list[Verdict]:
        try:
            return original(self, events, atomic=atomic)
        except Unavailable:
            return [answer(event) for event in events]

    patch.setattr(Appender, "_append", append)


@bug("an append that failed is answered as done", shows="accepted and is not stored|not where it is")
def _yes_in_vain(patch: pytest.MonkeyPatch) -> None:
    _with_failed_append(patch, lambda event: Verdict(event.id, 1))


@bug("an append of unknown outcome is answered as refused", shows="accepted and then refused", parts=("sending",))
def _no_in_vain(patch: pytest.MonkeyPatch) -> None:
    _with_failed_append(patch, lambda _: Verdict(None, None, refusal=InvalidEvent("The database is away.")))
