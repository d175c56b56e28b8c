"""Names of processes: whose bearer is surely dead, and whose only may be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure import processes
from infrastructure.processes import is_surely_dead, process_name


def test_a_process_that_lives_is_not_dead_and_one_that_has_ended_is() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = process_name("replay", child.pid)
    assert not is_surely_dead(name)
    assert not is_surely_dead(process_name("replay"))

    child.kill()
    child.wait()
    assert is_surely_dead(name)
    child.stdin.close()


def test_one_that_has_ended_and_is_not_reaped_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = process_name("replay", child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_surely_dead(name)
    child.wait()
    child.stdin.close()


def test_another_process_that_got_the_same_id_is_another() -> None:
    kind, pid, machine, _ = process_name("replay").rsplit("-", 3)
    assert is_surely_dead(f"{kind}-{pid}-{machine}-1")


def test_of_another_machine_or_an_older_name_nothing_is_known() -> None:
    kind, pid, machine, _ = process_name("replay").rsplit("-", 3)
    other = "0" * len(machine)
    for name in (
        f"{kind}-{pid}-{other}-1",
        f"replay-host-{2**22 - 1}",
        "worker",
        "",
        "a-b-c-d",
        f"{kind}--{machine}-1",
    ):
        assert not is_surely_dead(name)


def test_where_the_system_does_not_tell_nobody_is_surely_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    name = process_name("replay")
    monkeypatch.setattr(processes, "_PROC", Path("/nowhere"))
    processes._machine.cache_clear()
    try:
        assert process_name("replay").endswith(f"-{os.getpid()}")
        assert not is_surely_dead(name)
    finally:
        processes._machine.cache_clear()
