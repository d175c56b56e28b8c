"""Processes that outlive the command that started them, known again by id and start time."""

import contextlib
import os
import pwd
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

interrupted = threading.Event()  # set on Ctrl-C, so that every wait for a server ends at once
_ports_handed_out: set[int] = set()
_ports_lock = threading.Lock()


class ServiceError(Exception):
    """A service cannot be had; the sentence says why and what helps."""


@dataclass(frozen=True)
class Process:
    """The leader of a session of its own. An id is given again some day, the pair with its start is not."""

    pid: int
    started: int

    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return any(pid == self.pid for pid in self._members())

    def stop(self, polite: signal.Signals = signal.SIGTERM, patience: float = 20) -> None:
        """A polite signal to the leader, and KILL to what is left of its session, also where the leader has died."""
        if self.is_alive():
            _signal(self.pid, polite)
            wait_until(lambda: not self.is_alive(), patience)
        for _ in range(100):
            left = list(self._members())
            if not left:
                return
            for pid in left:
                _signal(pid, signal.SIGKILL)
            time.sleep(0.05)

    def _members(self) -> Iterator[int]:
        # While a session has a member, the kernel gives its leader's id to no other process.
        for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()):
            stat = _stat(pid)
            if stat is None or stat.session != self.pid or stat.state == "Z":
                continue
            if stat.started == self.started or (stat.started > self.started and pid != self.pid):
                yield pid


@dataclass(frozen=True)
class _Stat:
    state: str
    session: int
    started: int  # in clock ticks since the machine came up


def _stat(pid: int) -> _Stat | None:
    with contextlib.suppress(OSError):
        # The name in parentheses may hold anything, spaces and parentheses too; proc(5) counts the rest from 3.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return _Stat(state=fields[0], session=int(fields[3]), started=int(fields[19]))
    return None


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Process:
    """Start a server in a session of its own, where a Ctrl-C in the terminal does not reach it."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            **as_user(user),
        )
    stat = _stat(child.pid)  # a child that has ended keeps its entry until it is waited for
    return Process(child.pid, stat.started if stat else 0)


def as_user(user: str | None) -> dict[str, Any]:
    """Keywords for subprocess under which root's rights are given away."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def wait_for_answer(answers: Callable[[], bool], process: Process, seconds: float, log: Path) -> None:
    """Wait for a server's first answer. Its end, or no answer in time, is an error that names the log."""
    came = wait_until(lambda: interrupted.is_set() or not process.is_alive() or answers(), seconds)
    if interrupted.is_set():
        raise ServiceError("interrupted")
    if not process.is_alive():
        raise ServiceError(f"it ended while starting; its last words are in {log}")
    if not came:
        raise ServiceError(f"no answer within {seconds:.0f} s; its log is {log}")


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def is_working_directory(directory: Path) -> bool:
    """Whether any living process works in the directory."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and (entry / "cwd").readlink() == directory:
                return True
    return False


def free_port() -> int:
    """A port on loopback that nobody listens on, below those that the system gives to outgoing connections."""
    with _ports_lock:
        while True:
            port = random.randrange(20_000, 32_000)
            if port not in _ports_handed_out and is_free(port):
                _ports_handed_out.add(port)
                return port


def is_free(port: int) -> bool:
    """Whether a server could listen on the port."""
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def first_bytes(address: tuple[str, int], question: bytes, timeout: float = 2) -> bytes:
    """What a server says first to a question; nothing where it does not answer."""
    with contextlib.suppress(OSError), socket.create_connection(address, timeout) as connection:
        connection.sendall(question)
        return connection.recv(200)
    return b""
