"""What every caller promises: done or not, a repeat under the same id, and that whatever fails is a result."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from application.ports.caller import Caller, CallResult
from domain.outgoing import allowed_of
from infrastructure.http_calls.caller import HttpCaller
from infrastructure.http_calls.guard import Guard
from infrastructure.memory.caller import DONE, MemoryCaller
from infrastructure.smtp.caller import SmtpCaller
from infrastructure.smtp.server import MailServer
from playhead import Email, HttpCall
from tests.factories import event_id
from tests.mailbox import Mailbox
from tests.servers import Receiver, Reply


@dataclass(frozen=True, kw_only=True)
class World:
    """A caller and the other side: `seen` gives the ids that it was called under, `say` what it answers from now on."""

    caller: Caller
    call: HttpCall | Email
    seen: Callable[[], Sequence[str]]
    say: Callable[[str], None]


def of_memory(_: ExitStack) -> World:
    caller = MemoryCaller()
    failures = {"no": CallResult(phase="failed", error="no"), "never": CallResult(phase="gave_up", error="never")}
    return World(
        caller=caller,
        call=HttpCall(url="https://example.org/"),
        seen=lambda: [effect_id for effect_id, _ in caller.calls],
        say=lambda word: caller.results.append(failures.get(word, DONE)),
    )


def of_http(stack: ExitStack) -> World:
    receiver = stack.enter_context(Receiver.running())

    def say(word: str) -> None:
        receiver.replies = lambda _: Reply(status={"yes": 200, "no": 500, "never": 410}[word])

    return World(
        caller=HttpCaller(Guard([allowed_of("127.0.0.1")])),
        call=HttpCall(url=receiver.url()),
        seen=lambda: [received.id for received in receiver.requests],
        say=say,
    )


def of_smtp(stack: ExitStack) -> World:
    mailbox = stack.enter_context(Mailbox.running())

    def say(word: str) -> None:
        mailbox.replies["DATA"] = {"yes": "250 OK", "no": "451 no", "never": "554 never"}[word]

    return World(
        caller=SmtpCaller(MailServer.of(mailbox.url), sender="shop@example.com"),
        call=Email(to="a@example.org", subject="s", text="t"),
        seen=lambda: mailbox.ids,
        say=say,
    )


@pytest.fixture(params=[of_memory, of_http, of_smtp], ids=["memory", "http", "smtp"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with ExitStack() as stack:
        yield request.param(stack)


def test_a_call_that_is_taken_is_done_and_was_made_under_its_id(world: World):
    result = world.caller.call(world.call, effect_id=event_id(1))

    assert (result.phase, result.error) == ("done", None)
    assert result.answer is not None
    assert list(world.seen()) == [event_id(1)]


def test_the_receiver_can_tell_a_repeat_by_its_id(world: World):
    for number in (1, 2, 1):
        world.caller.call(world.call, effect_id=event_id(number))

    assert list(world.seen()) == [event_id(1), event_id(2), event_id(1)]


@pytest.mark.parametrize(("word", "phase"), [("no", "failed"), ("never", "gave_up")])
def test_what_the_other_side_refuses_is_a_result_with_a_reason(world: World, word: str, phase: str):
    world.say(word)

    result = world.caller.call(world.call, effect_id=event_id(1))

    assert result.phase == phase
    assert result.error


def test_a_caller_goes_on_after_a_failure(world: World):
    world.say("no")
    world.caller.call(world.call, effect_id=event_id(1))
    world.say("yes")

    assert world.caller.call(world.call, effect_id=event_id(1)).phase == "done"
