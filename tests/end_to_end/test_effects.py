"""Effects through the front door: the embedded service, and API, worker and beat on PostgreSQL and Redis."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.end_to_end.calling import (
    SETTINGS,
    Calling,
    a_kill_before_the_outcome_leaves_unknown_and_the_repeat_has_the_same_id,
    every_event_is_told_once_signed_and_after_its_commit,
    gone_disables_a_redirect_is_not_followed_an_answer_comes_back_and_a_replay_sends_nothing,
)
from tests.end_to_end.embedded import Dev, dev
from tests.end_to_end.processes import ROOT, run
from tests.end_to_end.scale import Process, processes
from tests.servers import Receiver


def embedded(stack: ExitStack, folder: Path) -> Calling:
    receiver = stack.enter_context(Receiver.running())
    running: list[Dev] = []

    def start() -> None:
        running.append(stack.enter_context(dev(folder / "home", pythonpath=str(ROOT), **SETTINGS)))

    start()
    return Calling(
        client=lambda: running[-1].client,
        command=lambda *arguments: running[-1].run(*arguments),  # noqa: PLW0108  # of the last one then
        receiver=receiver,
        kill=lambda: running[-1].process.kill(),  # noqa: PLW0108  # ditto
        start=start,
    )


def at_scale(stack: ExitStack, folder: Path, database: str, broker: str) -> Calling:
    receiver = stack.enter_context(Receiver.running())
    found = stack.enter_context(processes(folder, database_url=database, celery_broker_url=broker, **SETTINGS))
    workers: list[Process] = [found.worker()]
    found.start("playhead", "beat")
    _, client = found.serve()
    return Calling(
        client=lambda: client,
        command=lambda *arguments: run(found.environment, *arguments, cwd=folder),
        receiver=receiver,
        kill=lambda: workers[-1].kill(),  # noqa: PLW0108  # of the last one then
        start=lambda: workers.append(found.worker()),
    )


@pytest.fixture(params=["embedded", pytest.param("scale", marks=[pytest.mark.postgres, pytest.mark.redis])], ids=str)
def calling(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Calling]:
    with ExitStack() as stack:
        if request.param == "embedded":
            yield embedded(stack, tmp_path)
            return
        database, broker = map(request.getfixturevalue, ("postgres_url", "broker"))
        yield at_scale(stack, tmp_path, database, broker)


def test_every_event_is_told_once_signed_and_after_its_commit(calling: Calling) -> None:
    every_event_is_told_once_signed_and_after_its_commit(calling)


def test_a_kill_before_the_outcome_leaves_unknown_and_the_repeat_has_the_same_id(calling: Calling) -> None:
    a_kill_before_the_outcome_leaves_unknown_and_the_repeat_has_the_same_id(calling)


def test_gone_disables_a_redirect_is_not_followed_an_answer_comes_back_and_a_replay_sends_nothing(
    calling: Calling,
) -> None:
    gone_disables_a_redirect_is_not_followed_an_answer_comes_back_and_a_replay_sends_nothing(calling)
