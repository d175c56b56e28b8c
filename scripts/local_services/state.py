"""What was started, remembered in `.services/` of the project, one small file a service."""

import contextlib
import fcntl
import json
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from local_services.processes import Process, ServiceError

PROJECT = Path(__file__).resolve().parents[2]
STATE = PROJECT / ".services"


@dataclass
class Record:
    """A started service: where it is, what runs, and the directory of its data and log."""

    url: str
    directory: str = ""
    ports: list[int] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    compose: bool = False

    def is_alive(self) -> bool:
        """Whether the server, the last of its processes, runs. Containers are asked for by their answer alone."""
        return self.compose or (bool(self.processes) and self.processes[-1].is_alive())


def load(name: str) -> Record | None:
    """The record of a service; none where it was never started, or stopped."""
    try:
        values = json.loads((STATE / f"{name}.json").read_text())
    except FileNotFoundError:
        return None
    values["processes"] = [Process(**process) for process in values["processes"]]
    return Record(**values)


def save(name: str, record: Record) -> None:
    """Replace the record in one step: a reader sees the old one or the new one."""
    draft = STATE / f"{name}.json.new"
    draft.write_text(json.dumps(asdict(record), indent=2) + "\n")
    draft.replace(STATE / f"{name}.json")


def forget(name: str, record: Record) -> None:
    """Remove the record with its data."""
    if record.directory:
        shutil.rmtree(record.directory, ignore_errors=True)
    (STATE / f"{name}.json").unlink(missing_ok=True)


def new_directory(name: str, user: str | None) -> Path:
    """A directory that the service's user owns: in the project, unless that user cannot reach it there."""
    if user is None:
        directory = STATE / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        return directory
    if all(parent.stat().st_mode & 0o001 for parent in (STATE, *STATE.parents)):
        directory = STATE / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
    else:
        directory = Path(tempfile.mkdtemp(prefix=f"playhead-{name}-", dir="/var/tmp"))
    os.chown(directory, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    return directory


@contextlib.contextmanager
def lock() -> Iterator[None]:
    """Let one command at a time start or stop services of this project."""
    try:
        STATE.mkdir(exist_ok=True)
        handle = (STATE / "lock").open("w")
    except OSError as error:
        raise ServiceError(f"cannot write to {STATE}: {error.strerror}") from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
