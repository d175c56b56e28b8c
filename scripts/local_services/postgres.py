"""PostgreSQL with the durable settings it is shipped with, in a cluster of its own."""

import os
import shutil
import signal
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from local_services.processes import (
    Process,
    ServiceError,
    as_user,
    first_bytes,
    is_working_directory,
    spawn,
    wait_until,
)
from local_services.service import Service

_STARTUP = struct.pack("!i", 196_608) + b"user\0playhead\0database\0playhead\0\0"  # protocol 3.0
GREETING = struct.pack("!i", len(_STARTUP) + 4) + _STARTUP

ROLE_AND_DATABASE = r"""
SELECT 'CREATE ROLE playhead LOGIN CREATEDB CREATEROLE'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'playhead') \gexec
SELECT 'CREATE DATABASE playhead OWNER playhead'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'playhead') \gexec
"""


class Postgres(Service):
    name = "postgres"
    variable = "TEST_DATABASE_URL"
    port_variable = "POSTGRES_PORT"
    user = "postgres"
    stop_signal = signal.SIGINT  # TERM would wait for the last client to leave

    def lacking(self) -> list[str]:
        return [] if _programs() else ["postgresql"]

    def url(self, port: int) -> str:
        return f"postgresql+psycopg://playhead:playhead@127.0.0.1:{port}/playhead"

    def launch(self, directory: Path, ports: list[int]) -> Iterator[Process]:
        programs, user = _programs(), self.run_as()
        if programs is None:
            raise ServiceError("its programs are not on this machine")
        log, data = directory / "log", directory / "data"
        if not data.exists():
            _make_cluster(programs, data, log, user)
        _forget_a_killed_server(data)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": ports[0],
            "unix_socket_directories": "",  # a socket's path may be 107 bytes long, a checkout's is longer
            "max_connections": 300,
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        yield spawn([programs / "postgres", "-D", data, *options], log=log, user=user)

    def answers(self, url: str) -> bool:
        address = urlsplit(url)
        answer = first_bytes((str(address.hostname), address.port or 5432), GREETING)
        # A refusal, too, is an answer: a password may be asked for. Only a server that is still starting says 57P03.
        return answer[:1] in (b"R", b"E") and b"C57P03" not in answer

    def prepare(self, ports: list[int]) -> None:
        programs = _programs()
        assert programs is not None
        command = [str(programs / "psql"), "-X", "-q", "-h", "127.0.0.1", "-p", str(ports[0]), "-U", "postgres"]
        command += ["-v", "ON_ERROR_STOP=1", "-d", "postgres"]
        done = subprocess.run(command, input=ROLE_AND_DATABASE, text=True, capture_output=True, check=False)
        if done.returncode:
            raise ServiceError(f"no role and database: {done.stderr.strip()}")


def _programs() -> Path | None:
    """The newest version's directory: Debian keeps the servers off the PATH."""
    installed = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if installed:
        return max(installed, key=lambda path: float(path.parent.name))
    found = shutil.which("initdb")
    return Path(os.path.realpath(found)).parent if found else None


def _forget_a_killed_server(data: Path) -> None:
    """Remove the lock of a server that was killed, once its children have left the data.

    PostgreSQL would do so by itself, but takes a dead process that nobody has waited for, usual in containers, for
    a living one.
    """
    if not wait_until(lambda: not is_working_directory(data), 20):
        raise ServiceError(f"a server that was killed has left processes behind in {data}")
    (data / "postmaster.pid").unlink(missing_ok=True)


def _make_cluster(programs: Path, data: Path, log: Path, user: str | None) -> None:
    # Made beside and renamed, so that a killed start leaves no half of a cluster under the final name.
    draft = data.with_name("data.new")
    shutil.rmtree(draft, ignore_errors=True)
    command = [str(programs / "initdb"), "-D", str(draft), "-U", "postgres", "--auth=trust"]
    command += ["--encoding=UTF8", "--no-locale", "--no-sync"]
    with log.open("ab") as output:
        done = subprocess.run(command, stdout=output, stderr=output, cwd="/", check=False, **as_user(user))
    if done.returncode:
        raise ServiceError(f"initdb failed; its log is {log}")
    draft.rename(data)
