"""Processes of this machine: names that no two ever share, and whether the bearer of one is surely dead."""

import os
import pwd
import socket
from functools import cache
from hashlib import sha256
from pathlib import Path

_PROC = Path("/proc")
_ENDED = {"Z", "X", "x"}


def process_name(kind: str, pid: int | None = None) -> str:
    """The name of a process: the kind, the host, the process id, and what tells it from all others of this id.

    That is the machine as it was booted, its space of process ids, and when the process began; where the system does
    not say so (no /proc), the name ends with the id, and nobody is ever surely dead.
    """
    pid = os.getpid() if pid is None else pid
    began = _began(pid)
    name = f"{kind}-{socket.gethostname()}-{pid}"
    return name if began is None or _machine() is None else f"{name}-{_machine()}-{began}"


def owner_name(kind: str) -> str:
    """Who holds a lease: the kind of process, the machine, the process id."""
    return f"{kind}-{socket.gethostname()}-{os.getpid()}"


def operator_name() -> str:
    """The actor of what is done from a command line: this process's user, as the operating system has it."""
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:  # a container may run under a number without a name
        return f"cli:{os.getuid()}"


def is_surely_dead(name: str) -> bool:
    """Whether the process of this name was one of this machine, since it was booted, and is there no more."""
    parts = name.rsplit("-", 3)
    if len(parts) != 4 or not parts[1].isdecimal() or parts[2] != _machine():
        return False
    return _began(int(parts[1])) != parts[3]


@cache
def _machine() -> str | None:
    """Names this boot of the machine, and the space in which its process ids are unique (a container has its own)."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return sha256(f"{boot} {(_PROC / 'self/ns/pid').readlink()}".encode()).hexdigest()[:12]
    except OSError:
        return None


def _began(pid: int) -> str | None:
    """When a process began, in ticks since the boot; None where it is there no more, or has ended and is not reaped."""
    try:
        # proc(5): the second field, in parentheses, may hold anything; the third is the state, the 22nd the start.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in _ENDED else fields[19]
