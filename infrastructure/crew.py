"""Crew: child processes that do one work together; one that dies is replaced, and all end with their parent."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, NoReturn

from domain.errors import InvalidReplay, Misconfigured, NotFound, PlayheadError, Unavailable

DRAIN_SECONDS = 15.0
"""How long a child that was told to stop may go on with its run; then it is killed."""
STOPPED = "stopped"
"""How a child ends that was told to stop."""
REPLACE_SECONDS = 1.0
"""After how long a child that died is replaced."""
_TRIES = 3
_LOOK_SECONDS = 0.1
_ERRORS: dict[str, type[PlayheadError]] = {
    kind.code: kind for kind in (InvalidReplay, Misconfigured, NotFound, Unavailable)
}


class Crew:
    """As many children at a time as were asked for, all of the same command.

    A child writes JSON lines to its standard output: `{"begun": true}`, `{"told": [what, detail]}`, and at last
    `{"end": how}` or `{"refused": detail, "code": code}`. It stops when its standard input ends: when it is told to,
    or when this process dies, however it does.
    """

    def __init__(
        self,
        command: Sequence[str],
        size: int,
        *,
        told: Callable[[str, str], None],
        died: Callable[[], None],
    ) -> None:
        """`told` is handed on what the children tell, and that one died; `died` is called when one is surely dead."""
        self._command = [*command]
        self._size = size
        self._told = told
        self._died = died
        self._members: list[_Member] = []

    def work(self, *, stopping: Callable[[], bool], progress: Callable[[], None]) -> str:
        """Let them work until the first says how it has ended, and the others have too; `stopped` where told to stop.

        Raises:
            PlayheadError: a child refused, or they die before they begin.
        """
        try:
            self._members = [self._started() for _ in range(self._size)]
            deadline: float | None = None
            while not stopping():
                ends = [member.end for member in self._members if member.end is not None]
                if len(ends) == self._size:
                    return ends[0]
                if ends:
                    # There is nothing to wait for in one that stands still now.
                    deadline = deadline or time.monotonic() + DRAIN_SECONDS
                    if time.monotonic() > deadline:
                        return ends[0]
                self._members = [self._looked_after(member) for member in self._members]
                progress()
                time.sleep(_LOOK_SECONDS)
            return STOPPED
        finally:
            self._dismiss()

    def _looked_after(self, member: "_Member") -> "_Member":
        """The member; another in its place where it died."""
        if member.refused is not None:
            _refuse(member.refused)
        if member.end is not None or member.process.poll() is None:
            return member
        member.reader.join()
        if member.has_spoken:
            return member
        now = time.monotonic()
        if member.died_at is None:
            member.died_at = now
            self._told("died", member.how_it_died())
            self._died()
        if not member.begun and member.tries >= _TRIES:
            raise Misconfigured(f"The processes of the replay end before they begin: {member.how_it_died()}.")
        if now - member.died_at < REPLACE_SECONDS:
            return member
        member.dismiss()
        member.close()
        return self._started(tries=1 if member.begun else member.tries + 1)

    def _started(self, *, tries: int = 1) -> "_Member":
        process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603  # ours
        return _Member(process, self._told, tries=tries)

    def _dismiss(self) -> None:
        """Let all of them hand back what they have not begun, and end; whoever does not is killed."""
        for member in self._members:
            member.dismiss()
        end = time.monotonic() + DRAIN_SECONDS
        killed = [member.process.pid for member in self._members if not member.has_ended_by(end)]
        if killed:
            self._died()


@dataclass
class _Member:
    process: "subprocess.Popen[bytes]"
    told: Callable[[str, str], None]
    tries: int
    begun: bool = False
    end: str | None = None
    refused: dict[str, Any] | None = None
    died_at: float | None = None
    reader: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read, name=f"child-{self.process.pid}", daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in _pipe(self.process.stdout):
            with suppress(ValueError):  # a node that prints
                said = json.loads(line)
                if isinstance(said, dict):
                    self._hear(said)

    def _hear(self, said: dict[str, Any]) -> None:
        self.begun = self.begun or "begun" in said
        if "told" in said:
            self.told(*said["told"])
        if "refused" in said:
            self.refused = said
        if said.get("end") != STOPPED:  # by somebody else: the work has not ended, and another goes on
            self.end = said.get("end", self.end)

    @property
    def has_spoken(self) -> bool:
        """Whether it has said how it ended."""
        return self.end is not None or self.refused is not None

    def how_it_died(self) -> str:
        """Its end in words."""
        code = self.process.returncode
        return f"process {self.process.pid} " + (f"was ended by signal {-code}" if code < 0 else f"ended with {code}")

    def dismiss(self) -> None:
        """Tell it to stop."""
        with suppress(OSError):
            _pipe(self.process.stdin).close()

    def has_ended_by(self, end: float) -> bool:
        """Wait for its end until then; False where it had to be killed."""
        try:
            self.process.wait(timeout=max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False
        finally:
            self.close()
        return True

    def close(self) -> None:
        """Close what it was listened to by, once it has ended."""
        self.reader.join()
        _pipe(self.process.stdout).close()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _refuse(said: dict[str, Any]) -> NoReturn:
    raise _ERRORS.get(said.get("code", ""), PlayheadError)(str(said["refused"]))
